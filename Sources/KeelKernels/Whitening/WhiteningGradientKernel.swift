internal import KeelLinearAlgebra
package import KeelTensor

/// The gradient of co-moments from that of the matrices made from them.
///
/// In Double. ZCA by the difference quotients of `Whitening.quotient`, finite for equal eigenvalues; PCA by the
/// textbook's 1/(λⱼ − λᵢ), which grows without bound as eigenvalues meet; both iterations of Newton and Schulz
/// through the coupled one, whose values are the same.
package struct WhiteningGradientKernel: Sendable {
  private let at: WhiteningTables

  /// Prepares for a table of co-moments of this shape.
  package init(_ rule: Whitening, _ blocks: ChannelBlocks, table: Shape, place: String) {
    at = WhiteningTables(rule, blocks, table: table, place: place)
  }

  private var matrixCount: Int { at.blocks.size * at.blocks.size }
  private var workerCount: Int {
    guard case .newtonSchulz(let steps, _) = at.rule.method else {
      return 5 * matrixCount + at.blocks.size
    }
    return (2 * (steps + 1) + 6) * matrixCount
  }

  /// The floats of scratch memory.
  package func scratchCount(_ parallelism: Parallelism) -> Int {
    2 * parallelism.threadCount * workerCount
  }

  /// - Parameters:
  ///   - gradient, matrix: d × cells × C.
  ///   - factor: (d + 1) × cells × C, where the method has one.
  package func run(
    _ gradient: UnsafePointer<Float>, _ table: UnsafePointer<Float>, _ matrix: UnsafePointer<Float>,
    factor: UnsafePointer<Float>?, into result: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let memory = UnsafeMutableRawPointer(scratch).assumingMemoryBound(to: Double.self)
    result.update(repeating: 0, count: ComomentsLayout.rows(of: at.blocks.size) * at.step)
    parallelism.forEach(at.taskCount, work: at.taskCount * 12 * matrixCount * at.blocks.size) {
      task, worker in
      let own = memory + worker * workerCount
      let d = at.block(task).channels.count
      at.read(gradient, task, into: own)
      var shrinkage = Double(at.rule.shrinkage)
      switch at.rule.method {
      case .pca: throughEigenvectors(task, d, factor!, own)
      case .zca: throughEigenvalues(task, d, factor!, own)
      case .cholesky:
        shrinkage = Double(factor![at.blocks.size * at.step + at.offset(task)])
        throughTriangles(task, d, matrix, factor!, own)
      case .newtonSchulz(let steps, _): throughSteps(task, d, steps, table, own)
      }
      finish(task, d, shrinkage: shrinkage, table, own, into: result)
    }
  }

  /// The eigenvectors as rows, and the eigenvalues behind them.
  private func readEigen(
    _ task: Int, _ d: Int, _ factor: UnsafePointer<Float>, _ memory: UnsafeMutablePointer<Double>
  ) -> (v: UnsafeMutablePointer<Double>, values: UnsafeMutablePointer<Double>) {
    let v = memory + matrixCount
    let values = memory + 5 * matrixCount
    at.read(factor, task, into: v)
    let row = factor + at.blocks.size * at.step + at.offset(task)
    for k in 0..<d { values[k] = Double(row[k]) }
    return (v, values)
  }

  /// dΣ = U·(Γ ∘ (Uᵀ·sym(G)·U))·Uᵀ.
  private func throughEigenvalues(
    _ task: Int, _ d: Int, _ factor: UnsafePointer<Float>, _ g: UnsafeMutablePointer<Double>
  ) {
    let products = SquareProducts(order: d)
    let (v, values) = readEigen(task, d, factor, g)
    let (first, second) = (g + 2 * matrixCount, g + 3 * matrixCount)
    products.makeSymmetric(g)
    products.multiply(v, g, into: first)
    products.multiply(first, v, transposing: .second, into: second)
    let largest = values[d - 1]
    for i in 0..<d {
      for j in 0..<d {
        second[i * d + j] *= at.rule.quotient(values[i], values[j], largest: largest)
      }
    }
    products.multiply(v, second, transposing: .first, into: first)
    products.multiply(first, v, into: g)
  }

  /// dΣ = U·(K ∘ (Uᵀ·dU) + diag dΛ)·Uᵀ, with dU = Gᵀ·f(Λ) for W = f(Λ)·Uᵀ, and G·f(Λ) for M = U·f(Λ).
  private func throughEigenvectors(
    _ task: Int, _ d: Int, _ factor: UnsafePointer<Float>, _ g: UnsafeMutablePointer<Double>
  ) {
    let (rule, products) = (at.rule, SquareProducts(order: d))
    let (v, values) = readEigen(task, d, factor, g)
    let (first, second) = (g + 2 * matrixCount, g + 3 * matrixCount)
    products.multiply(
      v, g, transposing: rule.direction == .whitening ? .second : .none, into: second)
    let largest = values[d - 1]
    for i in 0..<d {
      for j in 0..<d {
        second[i * d + j] *=
          i == j
          ? rule.quotient(values[i], values[i], largest: largest)
          : Whitening.inverseGap(values[i], values[j]) * rule.root(values[j], largest: largest)
      }
    }
    products.multiply(v, second, transposing: .first, into: first)
    products.multiply(first, v, into: g)
  }

  /// dΣ = L⁻ᵀ·Φ(Lᵀ·dL)·L⁻¹, with Φ the lower triangle with half its diagonal, and dL = −tril(Wᵀ·G·Wᵀ) for
  /// W = L⁻¹.
  private func throughTriangles(
    _ task: Int, _ d: Int, _ matrix: UnsafePointer<Float>, _ factor: UnsafePointer<Float>,
    _ g: UnsafeMutablePointer<Double>
  ) {
    let products = SquareProducts(order: d)
    let (l, first, second) = (g + matrixCount, g + 2 * matrixCount, g + 3 * matrixCount)
    at.read(factor, task, into: l)
    if at.rule.direction == .whitening {
      // Wᵀ·G·Wᵀ = L⁻ᵀ·(L⁻¹·Gᵀ)ᵀ.
      for i in 0..<d { for j in 0..<d { first[i * d + j] = g[j * d + i] } }
      products.solve(l, into: first)
      for i in 0..<d { for j in 0..<d { g[i * d + j] = -first[j * d + i] } }
      products.solve(l, transposed: true, into: g)
    }
    products.makeLower(g)
    products.multiply(l, g, transposing: .first, into: first)
    products.makeLower(first, diagonal: 0.5)
    // L⁻ᵀ·P·L⁻¹ = L⁻ᵀ·(L⁻ᵀ·Pᵀ)ᵀ.
    for i in 0..<d { for j in 0..<d { second[i * d + j] = first[j * d + i] } }
    products.solve(l, transposed: true, into: second)
    for i in 0..<d { for j in 0..<d { g[i * d + j] = second[j * d + i] } }
    products.solve(l, transposed: true, into: g)
  }

  /// Back through Y ← Y·M, Z ← M·Z, M = (3·I − Z·Y)/2, from Y₀ = Σ/tr Σ and Z₀ = I.
  private func throughSteps(
    _ task: Int, _ d: Int, _ steps: Int, _ table: UnsafePointer<Float>,
    _ g: UnsafeMutablePointer<Double>
  ) {
    let products = SquareProducts(order: d)
    let memory = (0..<6).map { g + $0 * matrixCount }
    func y(_ k: Int) -> UnsafeMutablePointer<Double> { g + (6 + 2 * k) * matrixCount }
    func z(_ k: Int) -> UnsafeMutablePointer<Double> { g + (7 + 2 * k) * matrixCount }
    let m = memory[1]
    func step(_ k: Int) {
      products.multiply(z(k), y(k), alpha: -0.5, into: m)
      products.addIdentity(m, factor: 1.5)
    }
    _ = at.covariance(table, task, shrinkage: Double(at.rule.shrinkage), into: y(0))
    let trace = products.trace(y(0))
    for i in 0..<d * d { y(0)[i] /= trace }
    products.setIdentity(z(0))
    for k in 0..<steps {
      step(k)
      products.multiply(y(k), m, into: y(k + 1))
      products.multiply(m, z(k), into: z(k + 1))
    }
    // ⟨G, W⟩/2 of what the trace in 1/√tr Σ adds.
    let scale = 1 / trace.squareRoot()
    let throughRoot = 0.5 * scale * products.dot(g, z(steps))
    for i in 0..<d * d { g[i] *= scale }
    let (dY, dM, spare, other) = (memory[2], memory[3], memory[4], memory[5])
    dY.update(repeating: 0, count: d * d)
    for k in (0..<steps).reversed() {
      step(k)
      products.multiply(y(k), dY, transposing: .first, into: dM)
      products.multiply(g, z(k), transposing: .second, beta: 1, into: dM)
      products.multiply(dY, m, transposing: .second, into: spare)
      products.multiply(z(k), dM, transposing: .first, alpha: -0.5, beta: 1, into: spare)
      products.multiply(m, g, transposing: .first, into: other)
      products.multiply(dM, y(k), transposing: .second, alpha: -0.5, beta: 1, into: other)
      dY.update(from: spare, count: d * d)
      g.update(from: other, count: d * d)
    }
    let onDiagonal = (products.dot(dY, y(0)) + throughRoot) / trace
    for i in 0..<d * d { g[i] = dY[i] / trace }
    products.addIdentity(g, factor: -onDiagonal)
  }

  /// dS = ((1 − α)·sym(dΣ) + ε·tr(dΣ)/d·I where ε is relative)/n, in both of its rows.
  private func finish(
    _ task: Int, _ d: Int, shrinkage: Double, _ table: UnsafePointer<Float>,
    _ g: UnsafeMutablePointer<Double>, into result: UnsafeMutablePointer<Float>
  ) {
    let products = SquareProducts(order: d)
    let n = Double(table[ComomentsLayout.count * at.step + at.offset(task)])
    products.makeSymmetric(g)
    let trace = products.trace(g)
    for i in 0..<d * d { g[i] *= (1 - shrinkage) / n }
    if at.rule.epsilonIsRelative {
      products.addIdentity(g, factor: Double(at.rule.epsilon) * trace / (Double(d) * n))
    }
    at.write(g, task, into: result + ComomentsLayout.products * at.step)
    at.write(
      g, task, into: result + ComomentsLayout.productResiduals(of: at.blocks.size) * at.step)
  }
}
