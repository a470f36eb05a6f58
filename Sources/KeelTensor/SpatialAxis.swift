/// One spatial axis of a sliding window: input size, window, stride, padding and dilation, checked.
///
/// Output size: ⌊(input + paddingBefore + paddingAfter − dilation·(window − 1) − 1) / stride⌋ + 1.
public struct SpatialAxis: Hashable, Sendable {
  /// The input's extent.
  public let input: Int
  /// The number of taps of the window.
  public let window: Int
  /// The step from one output to the next, in input positions.
  public let stride: Int
  /// Positions added before the first.
  public let paddingBefore: Int
  /// Positions added after the last; below 0, in the axis of a transposed convolution, positions left alone
  /// beyond those that whole strides leave.
  public let paddingAfter: Int
  /// The distance between neighbouring taps, in input positions.
  public let dilation: Int

  /// Checks and keeps the numbers of one axis.
  /// - Throws: `KeelError` of kind `argument` for a size below its minimum or from 2³¹ on, of kind
  ///   `shape` where the window does not fit into the padded input.
  public init(
    input: Int, window: Int, stride: Int = 1, paddingBefore: Int = 0, paddingAfter: Int = 0,
    dilation: Int = 1, name: String = "axis", place: String = "geometry"
  ) throws(KeelError) {
    try Self.check(
      input: input, window: window, stride: stride, paddingBefore: paddingBefore,
      paddingAfter: paddingAfter, dilation: dilation, name: name, place: place)
    self.init(
      unchecked: input, window: window, stride: stride, paddingBefore: paddingBefore,
      paddingAfter: paddingAfter, dilation: dilation)
    guard extent <= input + paddingBefore + paddingAfter else {
      throw KeelError(
        .shape, at: place,
        expected: "a kernel of at most \(input + paddingBefore + paddingAfter) on \(name)"
          + " (input \(input) with padding \(paddingBefore)+\(paddingAfter))",
        found: "\(extent) (kernel \(window), dilation \(dilation))")
    }
  }

  /// Checks each number by itself.
  internal static func check(
    input: Int, window: Int, stride: Int, paddingBefore: Int, paddingAfter: Int, dilation: Int,
    name: String, place: String
  ) throws(KeelError) {
    for (what, value, minimum) in [
      ("input size", input, 1), ("kernel size", window, 1), ("stride", stride, 1),
      ("dilation", dilation, 1), ("padding", min(paddingBefore, paddingAfter), 0),
    ] where value < minimum {
      throw KeelError(
        .argument, at: place, expected: "\(what) of \(name) at least \(minimum)", found: "\(value)")
    }
    // So that no sum or product below can overflow.
    for value in [input, window, stride, paddingBefore, paddingAfter, dilation]
    where value > Int(Int32.max) {
      throw KeelError(
        .argument, at: place, expected: "sizes of \(name) below 2³¹", found: "\(value)")
    }
  }

  /// Keeps numbers that fit together.
  internal init(
    unchecked input: Int, window: Int, stride: Int, paddingBefore: Int, paddingAfter: Int,
    dilation: Int
  ) {
    self.input = input
    self.window = window
    self.stride = stride
    self.paddingBefore = paddingBefore
    self.paddingAfter = paddingAfter
    self.dilation = dilation
  }

  /// An axis of one position and a window of one tap: stands for an axis that is not there.
  public static let trivial = SpatialAxis(
    unchecked: 1, window: 1, stride: 1, paddingBefore: 0, paddingAfter: 0, dilation: 1)

  /// Whether every output is made from the input at its own position alone.
  public var isPointwise: Bool {
    window == 1 && stride == 1 && paddingBefore == 0 && paddingAfter == 0
  }

  /// The input positions that a window spans: dilation·(window − 1) + 1.
  public var extent: Int { dilation * (window - 1) + 1 }

  /// The output's extent.
  public var output: Int { (input + paddingBefore + paddingAfter - extent) / stride + 1 }
}
