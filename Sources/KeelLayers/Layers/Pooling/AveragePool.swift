import KeelGraph
import KeelTensor

/// Takes the mean of each window of N×L×C; padding counts as zero.
public struct AveragePool1d: Layer {
  /// The window.
  public let window: SlidingWindow
  /// Whether padding counts as elements of the mean.
  public let countsPadding: Bool

  /// Makes a pooling; the stride is the window where none is given, the padding after the last position
  /// that before the first. Padding counts as in PyTorch where nothing else is said. Wrong sizes are thrown when the graph is made.
  public init(
    _ window: Int, stride: Int? = nil, padding: Int = 0, paddingAfter: Int? = nil,
    ceilMode: Bool = false, countsPadding: Bool = true
  ) {
    self.window = SlidingWindow(
      [window], stride: stride.map { [$0] }, padding: [padding],
      paddingAfter: paddingAfter.map { [$0] }, ceilMode: ceilMode)
    self.countsPadding = countsPadding
  }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable {
    x.pooled(.average(countsPadding: countsPadding), window)
  }
}

/// Takes the mean of each window of N×H×W×C; padding counts as zero.
public struct AveragePool2d: Layer {
  /// The window.
  public let window: SlidingWindow
  /// Whether padding counts as elements of the mean.
  public let countsPadding: Bool

  /// Makes a pooling; the stride is the window where none is given, the padding after the last position
  /// that before the first. Padding counts as in PyTorch where nothing else is said. Wrong sizes are thrown when the graph is made.
  public init(
    _ window: PerAxis, stride: PerAxis? = nil, padding: PerAxis = 0, paddingAfter: PerAxis? = nil,
    ceilMode: Bool = false, countsPadding: Bool = true
  ) {
    self.window = SlidingWindow(
      window.numbers, stride: stride?.numbers, padding: padding.numbers,
      paddingAfter: paddingAfter?.numbers, ceilMode: ceilMode)
    self.countsPadding = countsPadding
  }

  /// Makes a pooling with the same numbers on all axes.
  public init(
    _ window: Int, stride: Int? = nil, padding: Int = 0, ceilMode: Bool = false,
    countsPadding: Bool = true
  ) {
    self.init(
      PerAxis(window), stride: stride.map { PerAxis($0) }, padding: PerAxis(padding),
      ceilMode: ceilMode, countsPadding: countsPadding)
  }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable {
    x.pooled(.average(countsPadding: countsPadding), window)
  }
}

/// Takes the mean of each window of N×D×H×W×C; padding counts as zero.
public struct AveragePool3d: Layer {
  /// The window.
  public let window: SlidingWindow
  /// Whether padding counts as elements of the mean.
  public let countsPadding: Bool

  /// Makes a pooling; the stride is the window where none is given, the padding after the last position
  /// that before the first. Padding counts as in PyTorch where nothing else is said. Wrong sizes are thrown when the graph is made.
  public init(
    _ window: PerVolumeAxis, stride: PerVolumeAxis? = nil, padding: PerVolumeAxis = 0,
    paddingAfter: PerVolumeAxis? = nil, ceilMode: Bool = false, countsPadding: Bool = true
  ) {
    self.window = SlidingWindow(
      window.numbers, stride: stride?.numbers, padding: padding.numbers,
      paddingAfter: paddingAfter?.numbers, ceilMode: ceilMode)
    self.countsPadding = countsPadding
  }

  /// Makes a pooling with the same numbers on all axes.
  public init(
    _ window: Int, stride: Int? = nil, padding: Int = 0, ceilMode: Bool = false,
    countsPadding: Bool = true
  ) {
    self.init(
      PerVolumeAxis(window), stride: stride.map { PerVolumeAxis($0) },
      padding: PerVolumeAxis(padding),
      ceilMode: ceilMode, countsPadding: countsPadding)
  }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable {
    x.pooled(.average(countsPadding: countsPadding), window)
  }
}
