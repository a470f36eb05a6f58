/// How many spatial axes a layer's tensors have, as a type.
public protocol AxisCount: Sendable {
  /// 1, 2 or 3.
  static var axisCount: Int { get }
}

/// Sequences N×L×C.
public enum OneAxis: AxisCount {
  /// 1.
  public static let axisCount = 1
}

/// Images N×H×W×C.
public enum TwoAxes: AxisCount {
  /// 2.
  public static let axisCount = 2
}

/// Volumes N×D×H×W×C.
public enum ThreeAxes: AxisCount {
  /// 3.
  public static let axisCount = 3
}

/// A number for each spatial axis: the size of a window, a stride, a padding, a dilation. A literal
/// stands for the same number on all.
public struct AxisNumbers<Axes: AxisCount>: Hashable, Sendable {
  /// The numbers, outermost axis first.
  public private(set) var numbers: [Int]

  /// Makes the numbers of one for all axes.
  public init(_ each: Int) { numbers = Array(repeating: each, count: Axes.axisCount) }
}

extension AxisNumbers: ExpressibleByIntegerLiteral {
  /// Makes the numbers of one for all axes.
  public init(integerLiteral value: Int) { self.init(value) }
}

/// A number for each axis of images.
public typealias PerAxis = AxisNumbers<TwoAxes>

extension AxisNumbers where Axes == TwoAxes {
  /// Makes a pair from its numbers.
  public init(height: Int, width: Int) { numbers = [height, width] }

  /// The number for the vertical axis.
  public var height: Int {
    get { numbers[0] }
    set { numbers[0] = newValue }
  }

  /// The number for the horizontal axis.
  public var width: Int {
    get { numbers[1] }
    set { numbers[1] = newValue }
  }

  internal var pair: (Int, Int) { (height, width) }
}

extension AxisNumbers where Axes == ThreeAxes {
  /// Makes a triple from its numbers.
  public init(depth: Int, height: Int, width: Int) { numbers = [depth, height, width] }
}

/// What a layer adds around its input. A literal stands for the same number on all sides.
public enum AxisPadding<Axes: AxisCount>: Hashable, Sendable {
  /// So many positions before the first and after the last of each axis.
  case sides(before: AxisNumbers<Axes>, after: AxisNumbers<Axes>)
  /// What lets the result have the input's extents, for stride 1: dilation·(kernel − 1) positions, of which
  /// the odd one comes last.
  case same

  /// The same number on both sides of each axis.
  public static func each(_ numbers: AxisNumbers<Axes>) -> AxisPadding {
    .sides(before: numbers, after: numbers)
  }
}

extension AxisPadding: ExpressibleByIntegerLiteral {
  /// Makes the padding of one number on all sides.
  public init(integerLiteral value: Int) { self = .each(AxisNumbers(value)) }
}
