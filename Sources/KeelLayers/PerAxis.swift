/// A number for each spatial axis: the size of a window, a stride, a padding, a dilation. A literal
/// stands for the same number on both.
public struct PerAxis: Hashable, Sendable {
  /// The number for the vertical axis.
  public var height: Int
  /// The number for the horizontal axis.
  public var width: Int

  /// Makes a pair from its numbers.
  public init(height: Int, width: Int) {
    self.height = height
    self.width = width
  }

  /// Makes a pair of one number.
  public init(_ both: Int) { self.init(height: both, width: both) }

  internal var pair: (Int, Int) { (height, width) }
}

extension PerAxis: ExpressibleByIntegerLiteral {
  /// Makes a pair of one number.
  public init(integerLiteral value: Int) { self.init(value) }
}
