internal import KeelLinearAlgebra
package import KeelTensor

/// The matrices that whiten or color blocks of channels, from their co-moments.
///
/// Everything in Double, rounded once. Blocks run side by side, each with one BLAS thread.
package struct WhiteningKernel: Sendable {
  private let at: WhiteningTables

  /// Prepares for a table of co-moments of this shape.
  package init(_ rule: Whitening, _ blocks: ChannelBlocks, table: Shape, place: String) {
    at = WhiteningTables(rule, blocks, table: table, place: place)
  }

  private var matrixCount: Int { at.blocks.size * at.blocks.size }
  private var workerCount: Int { 5 * matrixCount + 2 * at.blocks.size }

  /// The floats of scratch memory.
  package func scratchCount(_ parallelism: Parallelism) -> Int {
    2 * (parallelism.threadCount * workerCount + at.taskCount)
  }

  /// What became of a block.
  private enum Outcome: Double {
    case done, notFinite, tooFewRows, notPositive, notConverged
  }

  /// - Parameters:
  ///   - matrix: d × cells × C.
  ///   - factor: (d + 1) × cells × C, where the method has one.
  /// - Throws: `KeelError` of kind `numerical` that names the block.
  package func run(
    _ table: UnsafePointer<Float>, into matrix: UnsafeMutablePointer<Float>,
    factor: UnsafeMutablePointer<Float>?, scratch: UnsafeMutablePointer<Float>,
    parallelism: Parallelism
  ) throws(KeelError) {
    let memory = UnsafeMutableRawPointer(scratch).assumingMemoryBound(to: Double.self)
    let outcomes = memory + parallelism.threadCount * workerCount
    parallelism.forEach(at.taskCount, work: at.taskCount * 20 * matrixCount * at.blocks.size) {
      task, worker in
      let own = memory + worker * workerCount
      outcomes[task] = run(task, table, matrix, factor, own).rawValue
    }
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
      case .notConverged: throw at.failure(task, "eigenvalues that converge", "others")
      }
    }
  }

  private func run(
    _ task: Int, _ table: UnsafePointer<Float>, _ matrix: UnsafeMutablePointer<Float>,
    _ factor: UnsafeMutablePointer<Float>?, _ memory: UnsafeMutablePointer<Double>
  ) -> Outcome {
    let d = at.block(task).channels.count
    let rule = at.rule
    let sigma = memory
    let n = at.covariance(table, task, shrinkage: Double(rule.shrinkage), into: sigma)
    for i in 0..<d * d where !sigma[i].isFinite { return .notFinite }
    guard n > Double(d) || rule.toleratesDeficiency else { return .tooFewRows }
    switch rule.method {
    case .pca, .zca: return byEigenvalues(task, d, sigma, matrix, factor!)
    case .cholesky: return byTriangles(task, d, table, sigma, matrix, factor!)
    case .newtonSchulz(let steps, let coupled):
      return byNewtonSchulz(task, d, sigma, steps, coupled, matrix)
    }
  }

  private func byEigenvalues(
    _ task: Int, _ d: Int, _ sigma: UnsafeMutablePointer<Double>,
    _ matrix: UnsafeMutablePointer<Float>, _ factor: UnsafeMutablePointer<Float>
  ) -> Outcome {
    let (rule, products) = (at.rule, SquareProducts(order: d))
    let (scaled, result) = (sigma + matrixCount, sigma + 2 * matrixCount)
    let values = sigma + 5 * matrixCount
    var workspace = EigenWorkspace<Double>(order: d)
    guard
      Double.unsafeSYEVD(.lower, n: d, a: sigma, lda: d, values: values, workspace: &workspace) == 0
    else { return .notConverged }
    // Row k is now the eigenvector of value k.
    let largest = values[d - 1]
    for k in 0..<d {
      let v = sigma + k * d
      var top = 0
      for i in 1..<max(d, 1) where abs(v[i]) > abs(v[top]) { top = i }
      let root = rule.root(values[k], largest: largest)
      guard root.isFinite else { return .notPositive }
      let sign: Double = v[top] < 0 ? -1 : 1
      for i in 0..<d {
        v[i] *= sign
        scaled[k * d + i] = root * v[i]
      }
    }
    switch (rule.method, rule.direction) {
    case (.zca, _): products.multiply(sigma, scaled, transposing: .first, into: result)
    case (_, .whitening): result.update(from: scaled, count: d * d)
    case (_, .coloring):
      for i in 0..<d { for k in 0..<d { result[i * d + k] = scaled[k * d + i] } }
    }
    at.write(result, task, into: matrix)
    at.write(sigma, task, into: factor)
    at.writeRow(at.blocks.size, task, into: factor) { values[$0] }
    return .done
  }

  private func byTriangles(
    _ task: Int, _ d: Int, _ table: UnsafePointer<Float>, _ sigma: UnsafeMutablePointer<Double>,
    _ matrix: UnsafeMutablePointer<Float>, _ factor: UnsafeMutablePointer<Float>
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
      result = sigma + matrixCount
      products.setIdentity(result)
      products.solve(sigma, into: result)
    }
    at.write(result, task, into: matrix)
    at.write(sigma, task, into: factor)
    at.writeRow(at.blocks.size, task, into: factor) { _ in shrinkage }
    return .done
  }

  /// The plain iteration, or the coupled one, on Σ/tr Σ.
  private func byNewtonSchulz(
    _ task: Int, _ d: Int, _ sigma: UnsafeMutablePointer<Double>, _ steps: Int, _ coupled: Bool,
    _ matrix: UnsafeMutablePointer<Float>
  ) -> Outcome {
    let products = SquareProducts(order: d)
    let trace = products.trace(sigma)
    guard trace > 0 else { return .notPositive }
    for i in 0..<d * d { sigma[i] /= trace }
    var memory = (1...4).map { sigma + $0 * matrixCount }
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
    at.write(memory[0], task, into: matrix)
    return .done
  }
}
