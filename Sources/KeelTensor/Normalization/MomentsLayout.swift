/// How the moments of cells are laid out in a tensor, so that kernels, running statistics, convolution
/// epilogues and the reference exchange one form: four rows of the cells' extents.
///
/// The mean is kept as two Floats because one loses digits: near 10⁴ a Float's spacing is 1e-3,
/// one hundredth of a deviation of 0.1.
public enum MomentsLayout {
  /// Row 0: the number of elements behind each cell's statistics, or the sum of their weights.
  public static let count = 0
  /// Row 1: the mean, rounded to Float; 0 for a cell without elements.
  public static let mean = 1
  /// Row 2: the exact mean minus the rounded one.
  public static let meanResidual = 2
  /// Row 3: Σ(x − mean)².
  public static let squaredDeviations = 3
  /// The number of rows.
  public static let rows = 4
}

/// The moments of a set of numbers: what statistics are exchanged as.
///
/// Sets are merged by the pairwise formula of Chan, Golub and LeVeque (1979), never by way of
/// E[x²] − E[x]²: in exact arithmetic a merge is the moments of all elements together, however they were cut.
public struct Moments: Hashable, Sendable {
  /// The number of elements, or the sum of their weights.
  public var count: Double
  /// Their mean; 0 without elements.
  public var mean: Double
  /// Σ(x − mean)².
  public var squaredDeviations: Double

  /// Makes moments from their parts; of no elements by default.
  public init(count: Double = 0, mean: Double = 0, squaredDeviations: Double = 0) {
    self.count = count
    self.mean = mean
    self.squaredDeviations = squaredDeviations
  }

  /// The population variance Σ(x − mean)²/n: NaN without elements.
  public var variance: Double { squaredDeviations / count }
  /// The unbiased variance Σ(x − mean)²/(n − 1): NaN for one element.
  public var unbiasedVariance: Double { squaredDeviations / (count - 1) }
  /// Σ x²/n.
  public var meanSquare: Double { variance + mean * mean }

  /// Adds the elements of another set.
  public mutating func merge(_ other: Moments) {
    guard other.count > 0 else { return }
    guard count > 0 else {
      self = other
      return
    }
    let total = count + other.count
    let distance = other.mean - mean
    mean += distance * (other.count / total)
    squaredDeviations +=
      other.squaredDeviations + distance * distance * (count * other.count / total)
    count = total
  }

  /// The moments of the elements of several sets.
  public static func merged(_ sets: some Sequence<Moments>) -> Moments {
    sets.reduce(into: Moments()) { $0.merge($1) }
  }
}

extension Moments {
  /// Reads one cell of a table in the layout of `MomentsLayout`.
  /// - Precondition: the tensor has four rows, and a cell of that index.
  public init(cell: Int, of table: Tensor) {
    let cells = table.count / MomentsLayout.rows
    precondition(
      table.shape[0] == MomentsLayout.rows && (0..<cells).contains(cell),
      "expected 4 rows with a cell \(cell), found \(table.shape)")
    self.init(
      count: Double(table.elements[MomentsLayout.count * cells + cell]),
      mean: Double(table.elements[MomentsLayout.mean * cells + cell])
        + Double(table.elements[MomentsLayout.meanResidual * cells + cell]),
      squaredDeviations: Double(table.elements[MomentsLayout.squaredDeviations * cells + cell]))
  }
}
