import KeelGraph
import KeelTensor

/// Takes the largest element of each window of N×L×C; padding counts as −∞.
public struct MaxPool1d: Layer {
  /// The window.
  public let window: SlidingWindow

  /// Makes a pooling; the stride is the window where none is given, the padding after the last position
  /// that before the first. Wrong sizes are thrown when the graph is made.
  public init(
    _ window: Int, stride: Int? = nil, padding: Int = 0, paddingAfter: Int? = nil,
    dilation: Int = 1, ceilMode: Bool = false
  ) {
    self.window = SlidingWindow(
      [window], stride: stride.map { [$0] }, padding: [padding],
      paddingAfter: paddingAfter.map { [$0] }, dilation: [dilation], ceilMode: ceilMode)
  }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable { x.pooled(.maximum, window) }

  /// Records the pooling and where each maximum stands: int64 positions within the image, counted in
  /// row-major order over the spatial axes.
  public func withIndices(_ x: Variable) -> (y: Variable, indices: Variable) {
    x.maxPooledWithIndices(window)
  }
}

/// Takes the largest element of each window of N×H×W×C; padding counts as −∞.
public struct MaxPool2d: Layer {
  /// The window.
  public let window: SlidingWindow

  /// Makes a pooling; the stride is the window where none is given, the padding after the last position
  /// that before the first. Wrong sizes are thrown when the graph is made.
  public init(
    _ window: PerAxis, stride: PerAxis? = nil, padding: PerAxis = 0, paddingAfter: PerAxis? = nil,
    dilation: PerAxis = 1, ceilMode: Bool = false
  ) {
    self.window = SlidingWindow(
      window.numbers, stride: stride?.numbers, padding: padding.numbers,
      paddingAfter: paddingAfter?.numbers, dilation: dilation.numbers, ceilMode: ceilMode)
  }

  /// Makes a pooling with the same numbers on all axes.
  public init(
    _ window: Int, stride: Int? = nil, padding: Int = 0, dilation: Int = 1, ceilMode: Bool = false
  ) {
    self.init(
      PerAxis(window), stride: stride.map { PerAxis($0) }, padding: PerAxis(padding),
      dilation: PerAxis(dilation), ceilMode: ceilMode)
  }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable { x.pooled(.maximum, window) }

  /// Records the pooling and where each maximum stands: int64 positions within the image, counted in
  /// row-major order over the spatial axes.
  public func withIndices(_ x: Variable) -> (y: Variable, indices: Variable) {
    x.maxPooledWithIndices(window)
  }
}

/// Takes the largest element of each window of N×D×H×W×C; padding counts as −∞.
public struct MaxPool3d: Layer {
  /// The window.
  public let window: SlidingWindow

  /// Makes a pooling; the stride is the window where none is given, the padding after the last position
  /// that before the first. Wrong sizes are thrown when the graph is made.
  public init(
    _ window: PerVolumeAxis, stride: PerVolumeAxis? = nil, padding: PerVolumeAxis = 0,
    paddingAfter: PerVolumeAxis? = nil, dilation: PerVolumeAxis = 1, ceilMode: Bool = false
  ) {
    self.window = SlidingWindow(
      window.numbers, stride: stride?.numbers, padding: padding.numbers,
      paddingAfter: paddingAfter?.numbers, dilation: dilation.numbers, ceilMode: ceilMode)
  }

  /// Makes a pooling with the same numbers on all axes.
  public init(
    _ window: Int, stride: Int? = nil, padding: Int = 0, dilation: Int = 1, ceilMode: Bool = false
  ) {
    self.init(
      PerVolumeAxis(window), stride: stride.map { PerVolumeAxis($0) },
      padding: PerVolumeAxis(padding), dilation: PerVolumeAxis(dilation), ceilMode: ceilMode)
  }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable { x.pooled(.maximum, window) }

  /// Records the pooling and where each maximum stands: int64 positions within the image, counted in
  /// row-major order over the spatial axes.
  public func withIndices(_ x: Variable) -> (y: Variable, indices: Variable) {
    x.maxPooledWithIndices(window)
  }
}
