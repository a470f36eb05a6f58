internal import KeelKernels
internal import KeelLinearAlgebra
internal import KeelTensor
internal import Synchronization

/// What a fitted `DataWhitening` multiplies by.
internal struct WhiteningMaps: Sendable {
  /// D, the columns of x.
  let inputs: Int
  /// The columns of y.
  let outputs: Int
  /// W, outputs×inputs.
  let forward: [Double]
  /// W⁻¹ or, with fewer outputs than inputs or rank, its pseudo-inverse: inputs×outputs.
  let backward: [Double]

  /// Decomposes what has been fitted.
  init(_ whitening: DataWhitening) throws(KeelError) {
    let order = whitening.means.count
    let rows = whitening.rowCount
    inputs = order
    let hasEpsilon = whitening.epsilon.number > 0
    guard rows > order || hasEpsilon || whitening.keptVariance < 1 else {
      throw KeelError(
        .value, at: Self.place,
        expected: "more rows than the \(order) columns, or an epsilon, or less kept variance",
        found: "\(rows) rows")
    }
    var covariance = whitening.comoments.map { $0 / Double(rows) }
    let trace = (0..<order).reduce(0) { $0 + covariance[$1 * order + $1] }
    let epsilon =
      switch whitening.epsilon {
      case .absolute(let epsilon): epsilon
      case .relative(let factor): factor * trace / Double(order)
      }
    if whitening.method == .cholesky {
      for i in 0..<order { covariance[i * order + i] += epsilon }
      (forward, backward) = try Self.triangular(covariance, order)
      outputs = order
      return
    }
    let (values, vectors) = try Self.eigen(covariance, order)
    let kept = Self.kept(values, share: whitening.keptVariance)
    let floor = Self.floor(order) * (values[order - 1] + epsilon)
    let vanishing = kept.filter { !(values[$0] + epsilon > floor) }
    guard vanishing.isEmpty else {
      throw Self.rankError(
        "\(vanishing.count) of \(kept.count) eigenvalues at most \(floor), the largest being "
          + "\(values[order - 1])")
    }
    // Leading components first: row k of each is v·(λ + ε)^power.
    func scaled(_ power: (Double) -> Double) -> [Double] {
      kept.reversed().flatMap { component in
        let factor = power(values[component] + epsilon)
        return vectors[component * order..<(component + 1) * order].map { factor * $0 }
      }
    }
    let count = kept.count
    switch whitening.method {
    case .zca:
      outputs = order
      forward = Self.gram(scaled { 1 / $0.squareRoot().squareRoot() }, rows: count, order)
      backward = Self.gram(scaled { $0.squareRoot().squareRoot() }, rows: count, order)
    case .pca, .cholesky:
      outputs = count
      forward = scaled { 1 / $0.squareRoot() }
      let rows = scaled { $0.squareRoot() }
      backward = (0..<order * count).map { rows[$0 % count * order + $0 / count] }
    }
  }

  private static let place = "data whitening: covariance"

  /// Eigenvalues up to this share of the largest are rounding.
  private static func floor(_ order: Int) -> Double { Double(order) * Double.ulpOfOne }

  private static func rankError(_ found: String) -> KeelError {
    KeelError(
      .numerical, at: place,
      expected: "full rank: no constant column, none that others determine; or an epsilon",
      found: found)
  }

  /// The eigenvalues, ascending and not below 0, and eigenvector k in row k.
  private static func eigen(
    _ covariance: [Double], _ order: Int
  ) throws(KeelError) -> (values: [Double], vectors: [Double]) {
    let batch = EigenBatch(order: order, count: 1)
    var values = [Double](repeating: 0, count: order)
    var vectors = [Double](repeating: 0, count: order * order)
    var workspace = [Double](repeating: 0, count: batch.workspaceCount(.serial))
    var valueSpan = values.mutableSpan
    var vectorSpan = vectors.mutableSpan
    var workspaceSpan = workspace.mutableSpan
    try batch.run(
      matrices: covariance.span, values: &valueSpan, vectors: &vectorSpan,
      workspace: &workspaceSpan, parallelism: .serial)
    return (values.map { max(0, $0) }, vectors)
  }

  /// The fewest of the largest eigenvalues that hold a share of their sum.
  private static func kept(_ values: [Double], share: Double) -> Range<Int> {
    guard share < 1 else { return 0..<values.count }
    let wanted = share * values.reduce(0, +)
    var sum = 0.0
    var first = values.count
    repeat {
      first -= 1
      sum += values[first]
    } while sum < wanted && first > 0
    return first..<values.count
  }

  /// Aᵀ·A, the same number above and below the diagonal.
  private static func gram(_ a: [Double], rows: Int, _ order: Int) -> [Double] {
    var product = [Double](repeating: 0, count: order * order)
    var target = product.mutableSpan
    // N is D, K the kept components.
    syrk(.lower, true, n: order, k: rows, a: a.span, c: &target)
    mirror(.lower, n: order, c: &target)
    return product
  }

  /// L⁻¹ and L of Σ = L·Lᵀ, zero above their diagonals.
  private static func triangular(
    _ covariance: [Double], _ order: Int
  ) throws(KeelError) -> (inverse: [Double], factor: [Double]) {
    var factor = covariance
    do {
      var target = factor.mutableSpan
      try cholesky(.lower, n: order, a: &target)
    } catch  where error.kind == .numerical {
      throw rankError(error.found)
    }
    for i in 0..<order {
      // What is left of a column's variance when those before it are known.
      let rest = factor[i * order + i] * factor[i * order + i]
      guard rest > floor(order) * covariance[i * order + i] else {
        throw rankError(
          "column \(i), of which those before it leave \(rest) of a variance of "
            + "\(covariance[i * order + i])")
      }
      for j in i + 1..<order { factor[i * order + j] = 0 }
    }
    var inverse = [Double](repeating: 0, count: order * order)
    for i in 0..<order { inverse[i * order + i] = 1 }
    var target = inverse.mutableSpan
    trsm(.left, .lower, m: order, n: order, a: factor.span, b: &target)
    return (inverse, factor)
  }
}

/// A result that is computed by the first who asks for it; others wait.
internal final class OnceSolved: Sendable {
  private let result = Mutex<Result<WhiteningMaps, KeelError>?>(nil)

  /// The result, or the error of the first computation.
  func value(_ body: () throws(KeelError) -> WhiteningMaps) throws(KeelError) -> WhiteningMaps {
    let result = result.withLock { result in
      let known = result ?? Result { () throws(KeelError) in try body() }
      result = known
      return known
    }
    return try result.get()
  }
}

extension Tensor {
  /// map·(x − before) + after for each row, in Double, rounded to Float once.
  /// - Parameter map: outputs×inputs, the inputs being this tensor's channels.
  internal func mappingRows(
    by map: [Double], before: [Double]? = nil, after: [Double]? = nil, outputs: Int
  ) -> Tensor {
    let inputs = shape.channelCount
    let rows = shape.rowCount
    return withSpan { x in
      Tensor(uninitialized: Shape(shape.extents.dropLast() + [outputs])) { out in
        let chunkRows = DataWhitening.chunkRows
        var from = [Double](repeating: 0, count: chunkRows * inputs)
        var to = [Double](repeating: 0, count: chunkRows * outputs)
        for first in stride(from: 0, to: rows, by: chunkRows) {
          let count = min(chunkRows, rows - first)
          for r in 0..<count {
            for c in 0..<inputs {
              from[r * inputs + c] = Double(x[(first + r) * inputs + c]) - (before?[c] ?? 0)
            }
          }
          var target = to.mutableSpan
          // M are the rows, N the outputs, K the inputs.
          gemm(
            false, true, m: count, n: outputs, k: inputs, a: from.span, b: map.span, c: &target)
          for r in 0..<count {
            for c in 0..<outputs {
              out[(first + r) * outputs + c] = Float(to[r * outputs + c] + (after?[c] ?? 0))
            }
          }
        }
      }
    }
  }
}
