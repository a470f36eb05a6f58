/// The one checked description of a pooling over one, two or three axes, which drives both passes.
///
/// Shapes: x N×[D×]H×W×C, y N×[D′×]H′×W′×C; sequences are N×L×C.
public struct PoolingGeometry: Hashable, Sendable, SpatialGeometry {
  /// What is made of a window.
  public enum Kind: Hashable, Sendable {
    /// The largest element; padding counts as −∞; NaN wins; the first of equals gets the gradient.
    case maximum
    /// The mean; padding counts as zero and as an element when `countsPadding` is true.
    case average(countsPadding: Bool)
  }

  /// What is made of a window.
  public let kind: Kind
  /// The axes of the window.
  public let spatial: SpatialAxes
  /// The number of channels, which pooling leaves alone.
  public let channels: Int

  /// Checks and keeps a geometry.
  /// - Parameter axes: one to three axes, outermost first.
  /// - Throws: `KeelError` of kind `argument` for another number of axes, a channel count below 1,
  ///   padding of more than half the window (a window could then lie in the padding alone), or a dilated
  ///   window whose taps all do.
  public init(
    _ kind: Kind, axes: [SpatialAxis], channels: Int, place: String = "pooling"
  ) throws(KeelError) {
    spatial = try SpatialAxes(axes, place: place)
    guard channels >= 1 else {
      throw KeelError(.argument, at: place, expected: "channels at least 1", found: "\(channels)")
    }
    for axis in axes where max(axis.paddingBefore, axis.paddingAfter) * 2 > axis.extent {
      throw KeelError(
        .argument, at: place, expected: "padding of at most half the window of \(axis.extent)",
        found: "\(max(axis.paddingBefore, axis.paddingAfter))")
    }
    for axis in axes where axis.dilation > 1 {
      for position in 0..<axis.output {
        let first = position * axis.stride - axis.paddingBefore
        let taps = (0..<axis.window).map { first + $0 * axis.dilation }
        guard taps.contains(where: { $0 >= 0 && $0 < axis.input }) else {
          throw KeelError(
            .argument, at: place, expected: "windows that hold an element of the input",
            found: "one with taps at \(taps) of \(axis.input) elements")
        }
      }
    }
    self.kind = kind
    self.channels = channels
  }

  /// Makes the geometry of images.
  /// - Throws: as the full initializer.
  public init(
    _ kind: Kind, height: SpatialAxis, width: SpatialAxis, channels: Int, place: String = "pooling"
  ) throws(KeelError) {
    try self.init(kind, axes: [height, width], channels: channels, place: place)
  }

  /// Makes the geometry of a window with equal padding on both sides.
  /// - Throws: as the full initializer and `SpatialAxis`.
  public init(
    _ kind: Kind, inputHeight: Int, inputWidth: Int, channels: Int, window: (Int, Int),
    stride: (Int, Int), padding: (Int, Int) = (0, 0), place: String = "pooling"
  ) throws(KeelError) {
    try self.init(
      kind,
      height: SpatialAxis(
        input: inputHeight, window: window.0, stride: stride.0, paddingBefore: padding.0,
        paddingAfter: padding.0, name: "height", place: place),
      width: SpatialAxis(
        input: inputWidth, window: window.1, stride: stride.1, paddingBefore: padding.1,
        paddingAfter: padding.1, name: "width", place: place),
      channels: channels, place: place)
  }

  /// The shape of the input for a batch.
  public func inputShape(batch: Int) -> Shape { Shape([batch] + axes.map(\.input) + [channels]) }
  /// The shape of the output for a batch.
  public func outputShape(batch: Int) -> Shape { Shape([batch] + axes.map(\.output) + [channels]) }
}
