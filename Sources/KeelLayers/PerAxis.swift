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
  internal var numbers: [Int] { [height, width] }
}

extension PerAxis: ExpressibleByIntegerLiteral {
  /// Makes a pair of one number.
  public init(integerLiteral value: Int) { self.init(value) }
}

/// A number for each spatial axis of volumes. A literal stands for the same number on all three.
public struct PerVolumeAxis: Hashable, Sendable, ExpressibleByIntegerLiteral {
  /// The number for the outermost axis.
  public var depth: Int
  /// The number for the vertical axis.
  public var height: Int
  /// The number for the horizontal axis.
  public var width: Int

  /// Makes three numbers.
  public init(depth: Int, height: Int, width: Int) {
    self.depth = depth
    self.height = height
    self.width = width
  }

  /// Makes three equal numbers.
  public init(_ all: Int) { self.init(depth: all, height: all, width: all) }

  /// Makes three equal numbers.
  public init(integerLiteral value: Int) { self.init(value) }

  internal var numbers: [Int] { [depth, height, width] }
}
