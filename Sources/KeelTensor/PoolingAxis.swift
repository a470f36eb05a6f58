/// One spatial axis of a pooling: which input positions each output position is made from.
///
/// The axis either slides a window, or it is adaptive: output i is made from the bin of inputs
/// ⌊i·input/output⌋ ..< ⌈(i+1)·input/output⌉; neighbouring bins share an input where the sizes do not
/// divide.
public struct PoolingAxis: Hashable, Sendable {
  /// The input's extent.
  public let input: Int
  /// The output's extent.
  public let output: Int
  /// The sliding window, padding after it extended by `roundedUp`; nil where the axis is adaptive.
  public let window: SpatialAxis?
  /// The positions by which the last window reaches over the padding because the output's size was
  /// rounded up. They count as elements of no average.
  public let roundedUp: Int

  /// A sliding window whose output size is rounded down: what a last partial window would see is left
  /// out.
  public init(_ axis: SpatialAxis) { self.init(axis, roundedUp: 0) }

  private init(_ axis: SpatialAxis, roundedUp: Int) {
    (input, output, window) = (axis.input, axis.output, axis)
    self.roundedUp = roundedUp
  }

  /// A sliding window whose output size is rounded up where `ceilMode` says so, as long as the last
  /// window starts inside the input or the padding before it.
  /// - Throws: as `SpatialAxis`.
  public init(
    input: Int, window: Int, stride: Int, paddingBefore: Int = 0, paddingAfter: Int = 0,
    dilation: Int = 1, ceilMode: Bool = false, name: String = "axis", place: String = "pooling"
  ) throws(KeelError) {
    func axis(_ extra: Int) throws(KeelError) -> SpatialAxis {
      try SpatialAxis(
        input: input, window: window, stride: stride, paddingBefore: paddingBefore,
        paddingAfter: paddingAfter + extra, dilation: dilation, name: name, place: place)
    }
    // Sizes that `SpatialAxis` refuses are left to it.
    let numbers = [input, window, stride, paddingBefore, paddingAfter, dilation]
    let isSound =
      numbers.allSatisfy { (0...Int(Int32.max)).contains($0) } && stride > 0 && window > 0
    guard ceilMode, isSound else {
      self.init(try axis(0))
      return
    }
    let padded = input + paddingBefore + paddingAfter
    let extent = dilation * (window - 1) + 1
    guard padded - extent + stride - 1 >= 0 else {
      self.init(try axis(0))
      return
    }
    var output = (padded - extent + stride - 1) / stride + 1
    if (output - 1) * stride >= input + paddingBefore { output -= 1 }
    let extra = max(0, (output - 1) * stride + extent - padded)
    self.init(try axis(extra), roundedUp: extra)
  }

  /// An adaptive axis.
  /// - Throws: `KeelError` of kind `argument` for a size below 1 or from 2³¹ on.
  public init(
    adaptive input: Int, output: Int, name: String = "axis", place: String = "pooling"
  ) throws(KeelError) {
    for (what, value) in [("input size", input), ("output size", output)]
    where value < 1 || value > Int(Int32.max) {
      throw KeelError(
        .argument, at: place, expected: "\(what) of \(name) from 1 to 2³¹ − 1", found: "\(value)")
    }
    (self.input, self.output, window, roundedUp) = (input, output, nil, 0)
  }

  private init() { (input, output, window, roundedUp) = (1, 1, nil, 0) }

  /// An axis of one position: stands for an axis that is not there.
  public static let trivial = PoolingAxis()

  /// What of one window lies inside the input.
  public struct Taps: Hashable, Sendable {
    /// The first input position.
    public var first: Int
    /// How many there are, `dilation` apart.
    public var count: Int
    /// How many count as elements of an average that counts padding.
    public var counted: Int
  }

  /// The sliding window that the axis is; of adaptive axes only those have one whose bins are of one size
  /// and share nothing.
  public var evenWindow: SpatialAxis? {
    if let window { return window }
    guard input % output == 0 else { return nil }
    return try? SpatialAxis(input: input, window: input / output, stride: input / output)
  }

  /// The distance between neighbouring taps.
  public var dilation: Int { window?.dilation ?? 1 }

  /// The taps of an output position.
  public func taps(of position: Int) -> Taps {
    guard let window else {
      let first = position * input / output
      let count = ((position + 1) * input + output - 1) / output - first
      return Taps(first: first, count: count, counted: count)
    }
    let step = window.dilation
    let start = position * window.stride - window.paddingBefore
    func tapsBefore(_ end: Int) -> Int {
      end <= start ? 0 : min(window.window, (end - start + step - 1) / step)
    }
    let outside = tapsBefore(0)
    return Taps(
      first: start + outside * step, count: tapsBefore(input) - outside,
      counted: tapsBefore(input + window.paddingAfter - roundedUp))
  }

  /// The taps of a window that lies inside the input, or of the largest bin.
  public var longestWindow: Int {
    if let window { return window.window }
    let (size, rest) = input.quotientAndRemainder(dividingBy: output)
    // A bin of size + 2 begins and ends within an input position.
    return rest == 0 ? size : (0..<output).map { taps(of: $0).count }.max()!
  }
}
