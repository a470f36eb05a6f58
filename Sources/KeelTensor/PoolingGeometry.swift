/// The one checked description of a pooling over one, two or three axes, which drives both passes.
///
/// Each channel is pooled by itself. Shapes: x N×[D×]H×W×C, y N×[D′×]H′×W′×C; sequences are N×L×C.
public struct PoolingGeometry: Hashable, Sendable {
  /// What is made of a window.
  public enum Kind: Hashable, Sendable {
    /// The largest element; padding counts as −∞; the first of equals in row-major order gets the
    /// gradient. Where there are NaN the result is NaN, and the first NaN gets the gradient.
    case maximum
    /// The mean; padding counts as zero and as an element when `countsPadding` is true. What a last
    /// window reaches over the padding, because the size was rounded up, never counts.
    case average(countsPadding: Bool)
    /// √Σ x², the L2 norm; padding counts as zero. Its gradient is x·dy/y, and 0 where y is 0. Squares
    /// are added up in Float: elements above 1.8·10¹⁹ give infinity.
    case l2
  }

  /// What is made of a window.
  public let kind: Kind
  /// One to three axes, outermost first.
  public let axes: [PoolingAxis]
  /// The number of channels, which pooling leaves alone.
  public let channels: Int

  /// Checks and keeps a geometry.
  /// - Throws: `KeelError` of kind `argument` for another number of axes, a channel count below 1,
  ///   padding of more than half the window (a window could then lie in the padding alone), or a dilated
  ///   window whose taps all do.
  public init(
    _ kind: Kind, axes: [PoolingAxis], channels: Int, place: String = "pooling"
  ) throws(KeelError) {
    guard (1...3).contains(axes.count) else {
      throw KeelError(.argument, at: place, expected: "1 to 3 spatial axes", found: "\(axes.count)")
    }
    guard channels >= 1 else {
      throw KeelError(.argument, at: place, expected: "channels at least 1", found: "\(channels)")
    }
    for axis in axes { try Self.checkPadding(axis, place) }
    self.kind = kind
    self.axes = axes
    self.channels = channels
  }

  private static func checkPadding(_ axis: PoolingAxis, _ place: String) throws(KeelError) {
    guard let window = axis.window else { return }
    let padding = max(window.paddingBefore, window.paddingAfter - axis.roundedUp)
    guard padding * 2 <= window.extent else {
      throw KeelError(
        .argument, at: place, expected: "padding of at most half the window of \(window.extent)",
        found: "\(padding)")
    }
    guard window.dilation > 1 else { return }
    for position in 0..<axis.output where axis.taps(of: position).count < 1 {
      let first = position * window.stride - window.paddingBefore
      let taps = (0..<window.window).map { first + $0 * window.dilation }
      throw KeelError(
        .argument, at: place, expected: "windows that hold an element of the input",
        found: "one with taps at \(taps) of \(window.input) elements")
    }
  }

  /// The shape of the input for a batch.
  public func inputShape(batch: Int) -> Shape { Shape([batch] + axes.map(\.input) + [channels]) }
  /// The shape of the output for a batch.
  public func outputShape(batch: Int) -> Shape { Shape([batch] + axes.map(\.output) + [channels]) }
  /// The input positions of one image.
  public var inputPositions: Int { axes.reduce(1) { $0 * $1.input } }
  /// The output positions of one image.
  public var outputPositions: Int { axes.reduce(1) { $0 * $1.output } }
}

extension PoolingGeometry {
  /// Makes the geometry of sliding windows.
  /// - Throws: as the full initializer.
  public init(
    _ kind: Kind, axes: [SpatialAxis], channels: Int, place: String = "pooling"
  ) throws(KeelError) {
    try self.init(kind, axes: axes.map { PoolingAxis($0) }, channels: channels, place: place)
  }

  /// Makes the geometry of images.
  /// - Throws: as the full initializer.
  public init(
    _ kind: Kind, height: SpatialAxis, width: SpatialAxis, channels: Int, place: String = "pooling"
  ) throws(KeelError) {
    try self.init(kind, axes: [height, width], channels: channels, place: place)
  }

  /// Makes the geometry of images and a window with equal padding on both sides.
  /// - Throws: as the full initializer and `PoolingAxis`.
  public init(
    _ kind: Kind, inputHeight: Int, inputWidth: Int, channels: Int, window: (Int, Int),
    stride: (Int, Int), padding: (Int, Int) = (0, 0), ceilMode: Bool = false,
    place: String = "pooling"
  ) throws(KeelError) {
    try self.init(
      kind,
      axes: [
        PoolingAxis(
          input: inputHeight, window: window.0, stride: stride.0, paddingBefore: padding.0,
          paddingAfter: padding.0, ceilMode: ceilMode, name: "height", place: place),
        PoolingAxis(
          input: inputWidth, window: window.1, stride: stride.1, paddingBefore: padding.1,
          paddingAfter: padding.1, ceilMode: ceilMode, name: "width", place: place),
      ], channels: channels, place: place)
  }

  /// Makes the geometry that pools all positions of an input of shape N×…×C into one.
  /// - Throws: as the full initializer.
  public init(global kind: Kind, input: Shape, place: String = "pooling") throws(KeelError) {
    var axes: [PoolingAxis] = []
    for extent in input.extents.dropFirst().dropLast() {
      axes.append(try PoolingAxis(adaptive: extent, output: 1, place: place))
    }
    try self.init(kind, axes: axes, channels: input.channelCount, place: place)
  }
}

extension PoolingGeometry.Kind {
  /// The kind in the field's terms, for messages and reports.
  public var name: String {
    switch self {
    case .maximum: "max pooling"
    case .average: "average pooling"
    case .l2: "L2 pooling"
    }
  }
}
