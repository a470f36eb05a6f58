/// What becomes of all elements along some axes.
///
/// Sums are gathered in Float over short chunks whose lengths depend on the shape alone, and merged in
/// Double; squares are summed in Double, so that no norm overflows that a Float can hold.
public struct Reduction: Hashable, Sendable {
  /// What the elements become.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// Σ x.
    case sum
    /// Σ x / n.
    case mean
    /// The largest; NaN where there is one.
    case maximum
    /// The smallest; NaN where there is one.
    case minimum
    /// Σ |x|.
    case absoluteSum
    /// √Σ x².
    case euclideanNorm

    /// The kind's name in the field's terms.
    public var name: String {
      switch self {
      case .absoluteSum: "L1 norm"
      case .euclideanNorm: "L2 norm"
      default: rawValue
      }
    }
  }

  /// What the elements become.
  public var kind: Kind
  /// The axes that go, each from 0 and once, in rising order.
  public var axes: [Int]
  /// Whether each of the axes stays with extent 1.
  public var keepsAxes: Bool

  /// Makes a reduction; the order of the axes does not matter.
  public init(_ kind: Kind, axes: some Sequence<Int>, keepsAxes: Bool = false) {
    self.kind = kind
    self.axes = axes.sorted()
    self.keepsAxes = keepsAxes
  }
}
