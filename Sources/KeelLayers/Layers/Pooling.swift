import KeelGraph
import KeelTensor

/// Takes the largest element of each window of N×H×W×C; padding counts as −∞.
public struct MaxPool2d: Layer {
  /// The size of the window.
  public let window: PerAxis
  /// The step from one window to the next.
  public let stride: PerAxis
  /// The positions added on each side, at most half the window.
  public let padding: PerAxis

  /// Makes a pooling; the stride is the window where none is given. Wrong sizes are thrown when the
  /// graph is made.
  public init(_ window: PerAxis, stride: PerAxis? = nil, padding: PerAxis = 0) {
    self.window = window
    self.stride = stride ?? window
    self.padding = padding
  }

  /// Makes a pooling with the same numbers on both axes.
  public init(_ window: Int, stride: Int? = nil, padding: Int = 0) {
    self.init(PerAxis(window), stride: stride.map { PerAxis($0) }, padding: PerAxis(padding))
  }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable {
    x.pooled(.maximum, window, stride, padding)
  }
}

/// Takes the mean of each window of N×H×W×C; padding counts as zero.
public struct AveragePool2d: Layer {
  /// The size of the window.
  public let window: PerAxis
  /// The step from one window to the next.
  public let stride: PerAxis
  /// The zeros added on each side, at most half the window.
  public let padding: PerAxis
  /// Whether padding counts as elements of the mean.
  public let countsPadding: Bool

  /// Makes a pooling; the stride is the window where none is given, and padding counts as in PyTorch.
  /// Wrong sizes are thrown when the graph is made.
  public init(
    _ window: PerAxis, stride: PerAxis? = nil, padding: PerAxis = 0, countsPadding: Bool = true
  ) {
    self.window = window
    self.stride = stride ?? window
    self.padding = padding
    self.countsPadding = countsPadding
  }

  /// Makes a pooling with the same numbers on both axes.
  public init(_ window: Int, stride: Int? = nil, padding: Int = 0, countsPadding: Bool = true) {
    self.init(
      PerAxis(window), stride: stride.map { PerAxis($0) }, padding: PerAxis(padding),
      countsPadding: countsPadding)
  }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable {
    x.pooled(.average(countsPadding: countsPadding), window, stride, padding)
  }
}

/// Takes the mean over all positions: N×H×W×C becomes N×C.
public struct GlobalAveragePool: Layer {
  /// Makes a pooling.
  public init() {}

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable { x.globalAveragePooled() }
}

extension Variable {
  fileprivate func pooled(
    _ kind: PoolingGeometry.Kind, _ window: PerAxis, _ stride: PerAxis, _ padding: PerAxis
  ) -> Variable {
    pooled { (height, width, channels, place) throws(KeelError) in
      try PoolingGeometry(
        kind, inputHeight: height, inputWidth: width, channels: channels, window: window.pair,
        stride: stride.pair, padding: padding.pair, place: place)
    }
  }
}
