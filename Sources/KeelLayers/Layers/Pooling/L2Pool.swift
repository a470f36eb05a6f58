import KeelGraph
import KeelTensor

/// Takes the L2 norm √Σ x² of each window of N×L×C; padding counts as zero.
public struct L2Pool1d: Layer {
  /// The window.
  public let window: SlidingWindow

  /// Makes a pooling; the stride is the window where none is given, the padding after the last position
  /// that before the first. Wrong sizes are thrown when the graph is made.
  public init(
    _ window: Int, stride: Int? = nil, padding: Int = 0, paddingAfter: Int? = nil,
    ceilMode: Bool = false
  ) {
    self.window = SlidingWindow(
      [window], stride: stride.map { [$0] }, padding: [padding],
      paddingAfter: paddingAfter.map { [$0] }, ceilMode: ceilMode)
  }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable { x.pooled(.l2, window) }
}

/// Takes the L2 norm √Σ x² of each window of N×H×W×C; padding counts as zero.
public struct L2Pool2d: Layer {
  /// The window.
  public let window: SlidingWindow

  /// Makes a pooling; the stride is the window where none is given, the padding after the last position
  /// that before the first. Wrong sizes are thrown when the graph is made.
  public init(
    _ window: PerAxis, stride: PerAxis? = nil, padding: PerAxis = 0, paddingAfter: PerAxis? = nil,
    ceilMode: Bool = false
  ) {
    self.window = SlidingWindow(
      window.numbers, stride: stride?.numbers, padding: padding.numbers,
      paddingAfter: paddingAfter?.numbers, ceilMode: ceilMode)
  }

  /// Makes a pooling with the same numbers on all axes.
  public init(
    _ window: Int, stride: Int? = nil, padding: Int = 0, ceilMode: Bool = false
  ) {
    self.init(
      PerAxis(window), stride: stride.map { PerAxis($0) }, padding: PerAxis(padding),
      ceilMode: ceilMode)
  }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable { x.pooled(.l2, window) }
}

/// Takes the L2 norm √Σ x² of each window of N×D×H×W×C; padding counts as zero.
public struct L2Pool3d: Layer {
  /// The window.
  public let window: SlidingWindow

  /// Makes a pooling; the stride is the window where none is given, the padding after the last position
  /// that before the first. Wrong sizes are thrown when the graph is made.
  public init(
    _ window: PerVolumeAxis, stride: PerVolumeAxis? = nil, padding: PerVolumeAxis = 0,
    paddingAfter: PerVolumeAxis? = nil, ceilMode: Bool = false
  ) {
    self.window = SlidingWindow(
      window.numbers, stride: stride?.numbers, padding: padding.numbers,
      paddingAfter: paddingAfter?.numbers, ceilMode: ceilMode)
  }

  /// Makes a pooling with the same numbers on all axes.
  public init(
    _ window: Int, stride: Int? = nil, padding: Int = 0, ceilMode: Bool = false
  ) {
    self.init(
      PerVolumeAxis(window), stride: stride.map { PerVolumeAxis($0) },
      padding: PerVolumeAxis(padding),
      ceilMode: ceilMode)
  }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable { x.pooled(.l2, window) }
}
