import KeelGraph
import KeelTensor

/// Takes the mean of each window of sequences N×L×C.
public typealias AveragePool1d = AveragePool<OneAxis>
/// Takes the mean of each window of images N×H×W×C.
public typealias AveragePool2d = AveragePool<TwoAxes>
/// Takes the mean of each window of volumes N×D×H×W×C.
public typealias AveragePool3d = AveragePool<ThreeAxes>

/// Takes the mean of each window; padding counts as zero.
public struct AveragePool<Axes: AxisCount>: Layer {
  /// The size of the window.
  public let window: AxisNumbers<Axes>
  /// The step from one window to the next.
  public let stride: AxisNumbers<Axes>
  /// The positions around the input, at most half the window on each side.
  public let padding: AxisPadding<Axes>
  /// Whether a last window that reaches over the padding is kept; it must start inside the input or the
  /// padding before it.
  public let ceilMode: Bool
  /// Whether padding counts as elements of the mean.
  public let countsPadding: Bool

  /// Makes a pooling; the stride is the window where none is given, and padding counts as in PyTorch. Wrong sizes
  /// are thrown when the graph is made.
  public init(
    _ window: AxisNumbers<Axes>, stride: AxisNumbers<Axes>? = nil, padding: AxisPadding<Axes> = 0,
    ceilMode: Bool = false, countsPadding: Bool = true
  ) {
    self.window = window
    self.stride = stride ?? window
    self.padding = padding
    self.ceilMode = ceilMode
    self.countsPadding = countsPadding
  }

  /// Makes a pooling with the same numbers on all axes.
  public init(
    _ window: Int, stride: Int? = nil, padding: Int = 0, ceilMode: Bool = false,
    countsPadding: Bool = true
  ) {
    self.init(
      AxisNumbers(window), stride: stride.map { AxisNumbers($0) },
      padding: .each(AxisNumbers(padding)), ceilMode: ceilMode, countsPadding: countsPadding)
  }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable {
    x.pooled(.average(countsPadding: countsPadding), numbers, ceilMode: ceilMode)
  }

  private var numbers: WindowNumbers<Axes> {
    WindowNumbers(kernel: window, stride: stride, padding: padding, dilation: 1)
  }
}
