internal import KeelLinearAlgebra
public import KeelTensor

/// Whitens data: centres it and makes its columns uncorrelated, each with variance 1.
///
///     y = W·(x − mean),   W·Σ·Wᵀ = I,   Σ = Σₙ (xₙ − mean)·(xₙ − mean)ᵀ/N = U·Λ·Uᵀ
///
///     PCA:       W = Λ^(−1/2)·Uᵀ           the directions of largest variance first
///     ZCA:       W = U·Λ^(−1/2)·Uᵀ         of all W the one with y nearest to x, in the mean square
///     Cholesky:  W = L⁻¹, Σ = L·Lᵀ         column i of y depends on columns up to i of x
///
/// x is N×D, or anything with D channels last: whitening the pixels of images wants them reshaped to N×D.
/// Fitting gathers mean and co-moments over all rows, batch after batch if the data does not fit into memory:
/// batches are merged exactly, so that the result is that of all rows together, whatever their order. What
/// follows from them is computed when first needed after fitting.
///
/// With an `epsilon`, Σ + εI takes the place of Σ: small eigenvalues, mostly noise, are not blown up to
/// variance 1, and fewer rows than columns can be fitted. With a `keptVariance` below 1, PCA and ZCA keep the
/// fewest leading components that hold that share of the variance: PCA's y has that many columns, ZCA's y
/// has all columns but lies in those components' space; the inverse gives the nearest x of that space.
///
/// Numerics: everything in Double; y is rounded to Float once. Σ is the population covariance. Eigenvectors'
/// signs are fixed by their largest component, which is positive. Cost: N·D² operations to fit, about 10·D³
/// to decompose, 2·N·D·K to apply with K columns of y. Calls `dsyrk`, `dsyevd` or `dpotrf`, `dgemm`.
///
/// ZCA is due to Bell and Sejnowski (1997); Kessy, Lewin and Strimmer (2018) compare all three.
public struct DataWhitening: Sendable {
  /// How data is whitened.
  public enum Method: String, Sendable, Hashable, CaseIterable {
    /// Along the principal components.
    case pca
    /// By the symmetric W: the data changes least.
    case zca
    /// By the triangular W.
    case cholesky
  }

  /// What is added to each eigenvalue of the covariance.
  public enum Epsilon: Sendable, Hashable {
    /// This number.
    case absolute(Double)
    /// This multiple of the eigenvalues' mean, which is the columns' mean variance.
    case relative(Double)

    internal var number: Double {
      switch self {
      case .absolute(let number), .relative(let number): number
      }
    }
  }

  /// How data is whitened.
  public let method: Method
  /// The share of the variance that is kept.
  public let keptVariance: Double
  /// What is added to each eigenvalue of the covariance.
  public let epsilon: Epsilon
  /// The number of rows that have been fitted.
  public private(set) var rowCount = 0
  /// The mean of each column.
  public private(set) var means: [Double] = []
  /// Σₙ (xₙ − mean)·(xₙ − mean)ᵀ, D×D, its lower triangle.
  internal private(set) var comoments: [Double] = []
  /// Made anew with each fit; copies of a value share it, as they have fitted the same.
  private var solution = OnceSolved()

  /// Makes one that has seen nothing.
  /// - Throws: `KeelError` of kind `argument` where `keptVariance` is not above 0 and at most 1, or below 1 for
  ///   Cholesky, which has no components; where `epsilon` is negative or not finite.
  public init(
    _ method: Method = .zca, keptVariance: Double = 1, epsilon: Epsilon = .absolute(0)
  ) throws(KeelError) {
    guard keptVariance > 0, keptVariance <= 1, method != .cholesky || keptVariance == 1 else {
      throw KeelError(
        .argument, at: "data whitening: keptVariance",
        expected: method == .cholesky ? "1 with Cholesky" : "more than 0, at most 1",
        found: "\(keptVariance)")
    }
    guard epsilon.number >= 0, epsilon.number.isFinite else {
      throw KeelError(
        .argument, at: "data whitening: epsilon", expected: "a finite number of at least 0",
        found: "\(epsilon.number)")
    }
    (self.method, self.keptVariance, self.epsilon) = (method, keptVariance, epsilon)
  }

  /// Makes one from the rows of a tensor.
  /// - Throws: `KeelError` as the other initializer and `fit` do.
  public init(
    _ method: Method = .zca, keptVariance: Double = 1, epsilon: Epsilon = .absolute(0),
    fitting x: Tensor
  ) throws(KeelError) {
    try self.init(method, keptVariance: keptVariance, epsilon: epsilon)
    try fit(x)
  }

  /// Adds the rows of a tensor to what has been fitted.
  /// - Parameter x: at least one row; as many columns as before.
  /// - Throws: `KeelError` of kind `shape` for other tensors; of kind `value` where one holds NaN or infinity,
  ///   which leaves what has been fitted as it was.
  public mutating func fit(_ x: Tensor) throws(KeelError) {
    let columns = x.shape.channelCount
    guard x.shape.rank >= 2, x.count > 0, rowCount == 0 || columns == means.count else {
      let expected = rowCount == 0 ? "columns" : "\(means.count) columns"
      throw KeelError(
        .shape, at: "data whitening: fit", expected: "rows of \(expected), at least one",
        found: "\(x.shape)")
    }
    if let bad = x.withSpan({ x in x.indices.first { !x[$0].isFinite } }) {
      throw KeelError(
        .value, at: "data whitening: fit", expected: "finite numbers",
        found: "\(x[flat: bad]) in row \(bad / columns), column \(bad % columns)")
    }
    if rowCount == 0 {
      means = Array(repeating: 0, count: columns)
      comoments = Array(repeating: 0, count: columns * columns)
    }
    let rows = x.shape.rowCount
    for first in stride(from: 0, to: rows, by: Self.chunkRows) {
      merge(x, rows: first..<min(first + Self.chunkRows, rows))
    }
    solution = OnceSolved()
  }

  /// Merges a few rows (Chan, Golub and LeVeque 1979): their co-moments are a SYRK, and the distance of the
  /// means one row more of it, √(n·m/(n + m))·(mean of the m − mean of the n).
  private mutating func merge(_ x: Tensor, rows: Range<Int>) {
    let columns = means.count
    let count = Double(rows.count)
    var chunk = [Double](repeating: 0, count: (rows.count + 1) * columns)
    var own = [Double](repeating: 0, count: columns)
    x.withSpan { x in
      for (target, row) in rows.enumerated() {
        for c in 0..<columns {
          chunk[target * columns + c] = Double(x[row * columns + c])
          own[c] += chunk[target * columns + c]
        }
      }
    }
    for c in 0..<columns { own[c] /= count }
    for row in 0..<rows.count {
      for c in 0..<columns { chunk[row * columns + c] -= own[c] }
    }
    let before = Double(rowCount)
    let weight = (before * count / (before + count)).squareRoot()
    for c in 0..<columns {
      let distance = own[c] - means[c]
      chunk[rows.count * columns + c] = weight * distance
      means[c] += distance * (count / (before + count))
    }
    var target = comoments.mutableSpan
    // N is D, K the rows and one.
    syrk(
      .lower, true, n: columns, k: rows.count + 1, a: chunk.span, beta: 1, c: &target)
    rowCount += rows.count
  }

  /// y = W·(x − mean), for each row.
  /// - Throws: `KeelError` of kind `shape` where nothing has been fitted, or other columns; of kind `value` where
  ///   there are fewer rows than columns and one more, without ε or a smaller kept variance; of kind
  ///   `numerical` where Σ + εI is not of full rank, or that of the kept components, or where the
  ///   decomposition fails.
  public func apply(_ x: Tensor) throws(KeelError) -> Tensor {
    let maps = try maps("apply")
    try check(x, columns: maps.inputs, "apply")
    return x.mappingRows(by: maps.forward, before: means, outputs: maps.outputs)
  }

  /// x = W⁻¹·y + mean: what `apply` was given, or with fewer components what is nearest to it.
  /// - Throws: `KeelError` as `apply` does.
  public func inverse(_ y: Tensor) throws(KeelError) -> Tensor {
    let maps = try maps("inverse")
    try check(y, columns: maps.outputs, "inverse")
    return y.mappingRows(by: maps.backward, after: means, outputs: maps.inputs)
  }

  /// W, row by row: as many rows as y has columns, D columns. A row is the filter that makes a column of y.
  /// - Throws: `KeelError` as `apply` does.
  public func matrix() throws(KeelError) -> [Double] { try maps("matrix").forward }

  /// The number of columns of y.
  /// - Throws: `KeelError` as `apply` does.
  public func outputCount() throws(KeelError) -> Int { try maps("outputCount").outputs }

  private func maps(_ what: String) throws(KeelError) -> WhiteningMaps {
    guard rowCount > 0 else {
      throw KeelError(
        .shape, at: "data whitening: \(what)", expected: "data to have been fitted", found: "none")
    }
    return try solution.value { () throws(KeelError) in try WhiteningMaps(self) }
  }

  private func check(_ x: Tensor, columns: Int, _ what: String) throws(KeelError) {
    guard x.shape.rank >= 2, x.shape.channelCount == columns else {
      throw KeelError(
        .shape, at: "data whitening: \(what)", expected: "rows of \(columns) columns",
        found: "\(x.shape)")
    }
  }

  /// The rows that are converted to Double at a time.
  internal static let chunkRows = 256
}
