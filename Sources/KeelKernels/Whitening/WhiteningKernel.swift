internal import KeelLinearAlgebra
package import KeelTensor

/// The matrices that whiten or color blocks of channels, from their co-moments.
///
/// Everything in Double, rounded once. Blocks run side by side, each with one BLAS thread.
package struct WhiteningKernel: Sendable {
  private let at: WhiteningTables
  /// The eigendecompositions of blocks of d channels, and of smaller last ones.
  private let whole: EigenBatch
  private let last: EigenBatch

  /// Prepares for a table of co-moments of this shape.
  package init(_ rule: Whitening, _ blocks: ChannelBlocks, table: Shape, place: String) {
    let at = WhiteningTables(rule, blocks, table: table, place: place)
    self.init(
      at, whole: EigenBatch(order: blocks.size, count: at.cells * at.wholeCount),
      last: EigenBatch(order: at.restSize, count: at.restSize > 0 ? at.cells : 0))
  }

  /// Prepares with another function in the place of LAPACK's, for blocks that are not smaller.
  package init(
    _ rule: Whitening, _ blocks: ChannelBlocks, table: Shape, place: String,
    syevd: @escaping EigenBatch.Syevd
  ) {
    let at = WhiteningTables(rule, blocks, table: table, place: place)
    self.init(
      at,
      whole: EigenBatch(
        order: blocks.size, count: at.cells * at.wholeCount, method: .lapack, syevd: syevd),
      last: EigenBatch(order: at.restSize, count: at.restSize > 0 ? at.cells : 0))
  }

  private init(_ at: WhiteningTables, whole: EigenBatch, last: EigenBatch) {
    self.at = at
    self.whole = whole
    self.last = last
  }

  private var matrixCount: Int { at.blocks.size * at.blocks.size }
  private var workerCount: Int { 4 * matrixCount }
  private func eigenCount(_ parallelism: Parallelism) -> Int {
    guard at.rule.usesEigenvalues else { return 0 }
    return max(whole.workspaceCount(parallelism), last.workspaceCount(parallelism))
  }

  /// The floats of scratch memory: for each block its matrix, eigenvalues and outcome, and what workers need.
  package func scratchCount(_ parallelism: Parallelism) -> Int {
    2
      * (at.taskCount * (matrixCount + at.blocks.size + 1)
        + parallelism.threadCount * workerCount + eigenCount(parallelism))
  }

  /// What became of a block.
  private enum Outcome: Double {
    case done, notFinite, tooFewRows, notPositive
  }

  /// - Parameters:
  ///   - matrix: d × cells × C.
  ///   - factor: (d + 1) × cells × C, where the method has one.
  ///   - exact: the matrix before it is rounded.
  /// - Throws: `KeelError` of kind `numerical` that names the block.
  package func run(
    _ table: UnsafePointer<Float>, into matrix: UnsafeMutablePointer<Float>,
    factor: UnsafeMutablePointer<Float>?, exact: UnsafeMutablePointer<Double>? = nil,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) throws(KeelError) {
    let matrices = UnsafeMutableRawPointer(scratch).assumingMemoryBound(to: Double.self)
    let values = matrices + at.taskCount * matrixCount
    let outcomes = values + at.taskCount * at.blocks.size
    let workers = outcomes + at.taskCount
    let work = at.taskCount * matrixCount * at.blocks.size
    parallelism.forEach(at.taskCount, work: 16 * at.taskCount * matrixCount) { task, _ in
      outcomes[task] = prepare(task, table, matrices + place(task)).rawValue
    }
    try check(outcomes, table)
    if at.rule.usesEigenvalues {
      try decompose(
        matrices, values, workers + parallelism.threadCount * workerCount, parallelism)
    }
    parallelism.forEach(at.taskCount, work: 8 * work) { task, worker in
      let own = workers + worker * workerCount
      let sigma = matrices + place(task)
      let d = at.block(task).channels.count
      let outcome: Outcome
      switch at.rule.method {
      case .pca, .zca:
        let values = values + valuePlace(task)
        outcome = byEigenvalues(task, d, sigma, values, own, matrix, factor!, exact)
      case .cholesky: outcome = byTriangles(task, d, table, sigma, own, matrix, factor!, exact)
      case .newtonSchulz(let steps, let coupled):
        outcome = byNewtonSchulz(task, d, sigma, own, steps, coupled, matrix, exact)
      }
      outcomes[task] = outcome.rawValue
    }
    try check(outcomes, table)
  }

  /// The matrix of a block among all: those of whole blocks one after another, then the smaller ones.
  private func place(_ task: Int) -> Int {
    let (cell, block) = task.quotientAndRemainder(dividingBy: at.blockCount)
    if block < at.wholeCount { return (cell * at.wholeCount + block) * matrixCount }
    return at.cells * at.wholeCount * matrixCount + cell * at.restSize * at.restSize
  }

  /// The same of its eigenvalues.
  private func valuePlace(_ task: Int) -> Int {
    let (cell, block) = task.quotientAndRemainder(dividingBy: at.blockCount)
    if block < at.wholeCount { return (cell * at.wholeCount + block) * at.blocks.size }
    return at.cells * at.wholeCount * at.blocks.size + cell * at.restSize
  }

  private func decompose(
    _ matrices: UnsafeMutablePointer<Double>, _ values: UnsafeMutablePointer<Double>,
    _ workspace: UnsafeMutablePointer<Double>, _ parallelism: Parallelism
  ) throws(KeelError) {
    var (first, firstValue) = (0, 0)
    for batch in [whole, last] {
      do throws(KeelError) {
        try batch.run(
          matrices: matrices + first, values: values + firstValue, vectors: matrices + first,
          workspace: workspace, parallelism: parallelism)
      } catch {
        throw KeelError(
          error.kind, at: "\(at.place), \(error.place)", expected: error.expected,
          found: error.found)
      }
      first += batch.count * batch.order * batch.order
      firstValue += batch.count * batch.order
    }
  }

  private func check(
    _ outcomes: UnsafePointer<Double>, _ table: UnsafePointer<Float>
  ) throws(KeelError) {
    for task in 0..<at.taskCount {
      let size = at.block(task).channels.count
      switch Outcome(rawValue: outcomes[task])! {
      case .done: continue
      case .notFinite:
        throw at.failure(task, "finite co-moments of at least one row", "others")
      case .tooFewRows:
        throw at.failure(
          task, "more rows than the \(size) channels of a block, or an ε",
          "\(Int(table[ComomentsLayout.count * at.step + at.offset(task)]))")
      case .notPositive:
        throw at.failure(task, "a positive definite covariance, or an ε", "one that is not")
      }
    }
  }

  private func prepare(
    _ task: Int, _ table: UnsafePointer<Float>, _ sigma: UnsafeMutablePointer<Double>
  ) -> Outcome {
    let d = at.block(task).channels.count
    let n = at.covariance(table, task, shrinkage: Double(at.rule.shrinkage), into: sigma)
    for i in 0..<d * d where !sigma[i].isFinite { return .notFinite }
    return n > Double(d) || at.rule.toleratesDeficiency ? .done : .tooFewRows
  }

  /// - Parameter v: the eigenvectors as rows.
  private func byEigenvalues(
    _ task: Int, _ d: Int, _ v: UnsafeMutablePointer<Double>, _ values: UnsafePointer<Double>,
    _ memory: UnsafeMutablePointer<Double>, _ matrix: UnsafeMutablePointer<Float>,
    _ factor: UnsafeMutablePointer<Float>, _ exact: UnsafeMutablePointer<Double>?
  ) -> Outcome {
    let (rule, products) = (at.rule, SquareProducts(order: d))
    let (scaled, result) = (memory, memory + matrixCount)
    let largest = values[d - 1]
    for k in 0..<d {
      let root = rule.root(values[k], largest: largest)
      guard root.isFinite else { return .notPositive }
      for i in 0..<d { scaled[k * d + i] = root * v[k * d + i] }
    }
    switch (rule.method, rule.direction) {
    case (.zca, _): products.multiply(v, scaled, transposing: .first, into: result)
    case (_, .whitening): result.update(from: scaled, count: d * d)
    case (_, .coloring):
      for i in 0..<d { for k in 0..<d { result[i * d + k] = scaled[k * d + i] } }
    }
    at.write(result, task, into: matrix, exact)
    at.write(v, task, into: factor)
    at.writeRow(at.blocks.size, task, into: factor) { values[$0] }
    return .done
  }

  private func byTriangles(
    _ task: Int, _ d: Int, _ table: UnsafePointer<Float>, _ sigma: UnsafeMutablePointer<Double>,
    _ memory: UnsafeMutablePointer<Double>, _ matrix: UnsafeMutablePointer<Float>,
    _ factor: UnsafeMutablePointer<Float>, _ exact: UnsafeMutablePointer<Double>?
  ) -> Outcome {
    let (rule, products) = (at.rule, SquareProducts(order: d))
    var shrinkage = Double(rule.shrinkage)
    var retries = rule.retries
    while Double.unsafePOTRF(.lower, n: d, a: sigma, lda: d) != 0 {
      guard retries > 0 else { return .notPositive }
      retries -= 1
      shrinkage = min(1, max(10 * shrinkage, 1e-6))
      _ = at.covariance(table, task, shrinkage: shrinkage, into: sigma)
    }
    products.makeLower(sigma)
    var result = sigma
    if rule.direction == .whitening {
      result = memory
      products.setIdentity(result)
      products.solve(sigma, into: result)
    }
    at.write(result, task, into: matrix, exact)
    at.write(sigma, task, into: factor)
    at.writeRow(at.blocks.size, task, into: factor) { _ in shrinkage }
    return .done
  }

  /// The plain iteration, or the coupled one, on Σ/tr Σ.
  private func byNewtonSchulz(
    _ task: Int, _ d: Int, _ sigma: UnsafeMutablePointer<Double>,
    _ scratch: UnsafeMutablePointer<Double>, _ steps: Int, _ coupled: Bool,
    _ matrix: UnsafeMutablePointer<Float>, _ exact: UnsafeMutablePointer<Double>?
  ) -> Outcome {
    let products = SquareProducts(order: d)
    let trace = products.trace(sigma)
    guard trace > 0 else { return .notPositive }
    for i in 0..<d * d { sigma[i] /= trace }
    var memory = (0..<4).map { scratch + $0 * matrixCount }
    products.setIdentity(memory[0])
    for _ in 0..<steps {
      if coupled {
        // memory[0] is Z, sigma Y; M = (3·I − Z·Y)/2.
        let m = memory[1]
        products.multiply(memory[0], sigma, alpha: -0.5, into: m)
        products.addIdentity(m, factor: 1.5)
        products.multiply(sigma, m, into: memory[2])
        products.multiply(m, memory[0], into: memory[3])
        sigma.update(from: memory[2], count: d * d)
        memory.swapAt(0, 3)
      } else {
        products.multiply(memory[0], memory[0], into: memory[1])
        products.multiply(memory[1], memory[0], into: memory[2])
        products.multiply(memory[2], sigma, into: memory[1])
        for i in 0..<d * d { memory[0][i] = 1.5 * memory[0][i] - 0.5 * memory[1][i] }
      }
    }
    let scale = 1 / trace.squareRoot()
    for i in 0..<d * d { memory[0][i] *= scale }
    at.write(memory[0], task, into: matrix, exact)
    return .done
  }
}

extension WhiteningKernel {
  /// The matrices of co-moments in Double, not rounded, for folding. The co-moments are rounded to two Floats.
  /// - Throws: `KeelError` of kind `numerical` that names the block.
  package static func matrices(
    _ rule: Whitening, _ blocks: ChannelBlocks, of table: DoubleTensor, place: String
  ) throws(KeelError) -> DoubleTensor {
    let kernel = WhiteningKernel(rule, blocks, table: table.shape, place: place)
    let parallelism = Parallelism()
    let step = table.shape.extents.dropFirst().reduce(1, *)
    let shape = Shape([blocks.size] + table.shape.extents.dropFirst())
    func memory(_ count: Int) -> UnsafeMutablePointer<Float> {
      let memory = UnsafeMutablePointer<Float>.allocate(capacity: max(count, 1))
      memory.initialize(repeating: 0, count: max(count, 1))
      return memory
    }
    let (floats, matrix) = (memory(table.count), memory(shape.elementCount))
    let factor = memory((blocks.size + 1) * step)
    // Twice as many floats as Doubles, whose addresses are multiples of 8 as malloc's are of 16.
    let exact = memory(2 * shape.elementCount)
    let scratch = memory(kernel.scratchCount(parallelism))
    defer { for memory in [floats, matrix, factor, exact, scratch] { memory.deallocate() } }
    for i in 0..<table.count { floats[i] = Float(table[flat: i]) }
    for row in ComomentsLayout.products..<ComomentsLayout.productResiduals(of: blocks.size) {
      for i in row * step..<(row + 1) * step {
        let residual = i + blocks.size * step
        floats[residual] = Float(table[flat: i] - Double(floats[i]) + table[flat: residual])
      }
    }
    let doubles = UnsafeMutableRawPointer(exact).assumingMemoryBound(to: Double.self)
    try kernel.run(
      floats, into: matrix, factor: factor, exact: doubles, scratch: scratch,
      parallelism: parallelism)
    return DoubleTensor(uninitialized: shape) { out in
      for i in out.indices { out[i] = doubles[i] }
    }
  }
}
