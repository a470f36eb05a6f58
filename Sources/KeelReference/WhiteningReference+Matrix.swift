import KeelTensor

extension WhiteningReference {
  /// The covariance with shrinkage and ε, and the number of rows behind it.
  private func covariance(
    _ table: DoubleTensor, _ rule: Whitening, shrinkage: Double, _ cell: Int, _ block: Range<Int>
  ) -> (SquareMatrix, count: Double) {
    let n = table[flat: at(ComomentsLayout.count, cell, block.lowerBound)]
    let products =
      matrix(table, from: ComomentsLayout.products, cell, block)
      + matrix(table, from: ComomentsLayout.productResiduals(of: size), cell, block)
    let s = (1 / n) * products.symmetric
    let scale = rule.epsilonIsRelative ? s.trace / Double(block.count) : 1
    let onDiagonal = shrinkage + Double(rule.epsilon) * scale
    return ((1 - shrinkage) * s + onDiagonal * .identity(block.count), n)
  }

  private func fail(_ expected: String, _ found: String, _ cell: Int, _ block: Range<Int>)
    -> KeelError
  {
    let sample = blocks.rows == .sample ? " of sample \(cell)" : ""
    return KeelError(
      .numerical, at: place, expected: expected,
      found: "\(found) in channels \(block.lowerBound)..<\(block.upperBound)\(sample)")
  }

  /// The matrix of each block, and what its gradient starts from: eigenvectors and eigenvalues, or the
  /// Cholesky factor and the shrinkage.
  func matrices(_ table: DoubleTensor, _ rule: Whitening) throws(KeelError) -> [DoubleTensor] {
    var result = DoubleTensor(zeros: shape(rows: size))
    var factor = DoubleTensor(zeros: shape(rows: size + 1))
    try forEachBlock { (cell, block) throws(KeelError) in
      let (sigma, n) = covariance(
        table, rule, shrinkage: Double(rule.shrinkage), cell, block)
      guard sigma.elements.allSatisfy(\.isFinite) else {
        throw fail("finite co-moments of at least one row", "others", cell, block)
      }
      guard n > Double(block.count) || rule.toleratesDeficiency else {
        throw fail(
          "more rows than the \(block.count) channels of a block, or an ε", "\(Int(n))", cell, block
        )
      }
      let whitens = rule.direction == .whitening
      switch rule.method {
      case .pca, .zca:
        let (values, u) = sigma.eigen
        let roots = values.map { rule.root($0, largest: values.last!) }
        if let bad = roots.firstIndex(where: { !$0.isFinite }) {
          throw fail("positive eigenvalues, or an ε", "\(values[bad])", cell, block)
        }
        let middle = SquareMatrix(block.count) { $0 == $1 ? roots[$0] : 0 }
        put(
          rule.method == .zca
            ? u * middle * u.transposed : whitens ? middle * u.transposed : u * middle,
          into: &result, from: 0, cell, block)
        put(u.transposed, into: &factor, from: 0, cell, block)
        for (i, c) in block.enumerated() { factor[flat: at(size, cell, c)] = values[i] }
      case .cholesky:
        var shrinkage = Double(rule.shrinkage)
        var l = sigma.cholesky
        for _ in 0..<rule.retries where l == nil {
          shrinkage = min(1, max(10 * shrinkage, 1e-6))
          l = covariance(table, rule, shrinkage: shrinkage, cell, block).0.cholesky
        }
        guard let l else {
          throw fail("a positive definite covariance", "one that is not", cell, block)
        }
        put(whitens ? l.lowerInverse : l, into: &result, from: 0, cell, block)
        put(l, into: &factor, from: 0, cell, block)
        for c in block { factor[flat: at(size, cell, c)] = shrinkage }
      case .newtonSchulz(let steps, _):
        let t = sigma.trace
        let (values, u) = ((1 / t) * sigma).eigen
        let p = values.map { newtonSchulz($0, $0, steps).value }
        let middle = SquareMatrix(block.count) { $0 == $1 ? p[$0] : 0 }
        put((1 / t.squareRoot()) * (u * middle * u.transposed), into: &result, from: 0, cell, block)
      }
    }
    return rule.hasFactor ? [result, factor] : [result]
  }

  /// p_T(a) of the iteration p ← (3·p − p³·a)/2 from p₀ = 1, which on each eigenvalue is that on matrices,
  /// and (p_T(a) − p_T(b))/(a − b): as it stands, or where a and b are near each other by the quotient's own
  /// steps, which for others let rounding grow.
  private func newtonSchulz(_ a: Double, _ b: Double, _ steps: Int)
    -> (value: Double, quotient: Double)
  {
    var (p, q, quotient) = (1.0, 1.0, 0.0)
    for _ in 0..<steps {
      quotient = 1.5 * quotient - 0.5 * (p * p * p + b * (p * p + p * q + q * q) * quotient)
      p = 1.5 * p - 0.5 * p * p * p * a
      q = 1.5 * q - 0.5 * q * q * q * b
    }
    return (p, abs(a - b) > 0.1 * max(a, b) ? (p - q) / (a - b) : quotient)
  }

  /// (dMatrix, co-moments, matrix, factor?) → dCo-moments.
  func matrixGradient(
    _ gradient: DoubleTensor, _ table: DoubleTensor, _ matrices: DoubleTensor,
    _ factor: DoubleTensor?, _ rule: Whitening
  ) throws(KeelError) -> DoubleTensor {
    var result = DoubleTensor(zeros: table.shape)
    try forEachBlock { (cell, block) throws(KeelError) in
      let d = block.count
      var shrinkage = Double(rule.shrinkage)
      if rule.method == .cholesky { shrinkage = factor![flat: at(size, cell, block.lowerBound)] }
      let (sigma, n) = covariance(table, rule, shrinkage: shrinkage, cell, block)
      let g = matrix(gradient, from: 0, cell, block)
      let w = matrix(matrices, from: 0, cell, block)
      let whitens = rule.direction == .whitening
      var dSigma: SquareMatrix
      switch rule.method {
      case .pca, .zca:
        let u = matrix(factor!, from: 0, cell, block).transposed
        let values = block.map { factor![flat: at(size, cell, $0)] }
        let largest = values.last!
        let inner: SquareMatrix
        if rule.method == .zca {
          let turned = u.transposed * g.symmetric * u
          inner = SquareMatrix(d) {
            rule.quotient(values[$0], values[$1], largest: largest) * turned[$0, $1]
          }
        } else {
          // W = f(Λ)·Uᵀ, or M = U·f(Λ): the gradient of U, in U's axes, and that of Λ.
          let turned = whitens ? u.transposed * g.transposed : u.transposed * g
          inner = SquareMatrix(d) { i, j in
            i == j
              ? rule.quotient(values[i], values[i], largest: largest) * turned[i, i]
              : Whitening.inverseGap(values[i], values[j]) * turned[i, j]
                * rule.root(values[j], largest: largest)
          }
        }
        dSigma = u * inner * u.transposed
      case .cholesky:
        let l = matrix(factor!, from: 0, cell, block)
        let inverse = l.lowerInverse
        let dL = whitens ? -1 * (w.transposed * g * w.transposed).lower() : g.lower()
        dSigma = inverse.transposed * (l.transposed * dL).lower(diagonal: 0.5) * inverse
      case .newtonSchulz(let steps, _):
        let t = sigma.trace
        let s = (1 / t) * sigma
        let (values, u) = s.eigen
        let turned = u.transposed * g.symmetric * u
        let inner = SquareMatrix(d) {
          newtonSchulz(values[$0], values[$1], steps).quotient * turned[$0, $1]
        }
        let dS = (1 / t.squareRoot()) * (u * inner * u.transposed)
        let onDiagonal = (dS.dot(s) + 0.5 * g.dot(w)) / t
        dSigma = (1 / t) * dS - onDiagonal * .identity(d)
      }
      dSigma = dSigma.symmetric
      var dS = (1 - shrinkage) * dSigma
      if rule.epsilonIsRelative {
        dS = dS + (Double(rule.epsilon) * dSigma.trace / Double(d)) * .identity(d)
      }
      put((1 / n) * dS, into: &result, from: ComomentsLayout.products, cell, block)
      put(
        (1 / n) * dS, into: &result, from: ComomentsLayout.productResiduals(of: size), cell, block)
    }
    return result
  }
}
