import KeelGraph
import KeelTensor

/// Takes the largest element of each window of sequences N×L×C.
public typealias MaxPool1d = MaxPool<OneAxis>
/// Takes the largest element of each window of images N×H×W×C.
public typealias MaxPool2d = MaxPool<TwoAxes>
/// Takes the largest element of each window of volumes N×D×H×W×C.
public typealias MaxPool3d = MaxPool<ThreeAxes>

/// Takes the largest element of each window; padding counts as −∞.
public struct MaxPool<Axes: AxisCount>: Layer {
  /// The size of the window.
  public let window: AxisNumbers<Axes>
  /// The step from one window to the next.
  public let stride: AxisNumbers<Axes>
  /// The positions around the input, at most half the window on each side.
  public let padding: AxisPadding<Axes>
  /// The distance between neighbouring taps.
  public let dilation: AxisNumbers<Axes>
  /// Whether a last window that reaches over the padding is kept; it must start inside the input or the
  /// padding before it.
  public let ceilMode: Bool

  /// Makes a pooling; the stride is the window where none is given. Wrong sizes are thrown when
  /// the graph is made.
  public init(
    _ window: AxisNumbers<Axes>, stride: AxisNumbers<Axes>? = nil, padding: AxisPadding<Axes> = 0,
    dilation: AxisNumbers<Axes> = 1, ceilMode: Bool = false
  ) {
    self.window = window
    self.stride = stride ?? window
    self.padding = padding
    self.dilation = dilation
    self.ceilMode = ceilMode
  }

  /// Makes a pooling with the same numbers on all axes.
  public init(
    _ window: Int, stride: Int? = nil, padding: Int = 0, dilation: Int = 1, ceilMode: Bool = false
  ) {
    self.init(
      AxisNumbers(window), stride: stride.map { AxisNumbers($0) },
      padding: .each(AxisNumbers(padding)), dilation: AxisNumbers(dilation), ceilMode: ceilMode)
  }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable {
    x.pooled(.maximum, numbers, ceilMode: ceilMode)
  }

  /// Records the pooling and where each maximum stands: int64 positions within the image, counted in
  /// row-major order over the spatial axes.
  public func withIndices(_ x: Variable) -> (y: Variable, indices: Variable) {
    x.maxPooledWithIndices(axes: Axes.axisCount) { (input, channels, place) throws(KeelError) in
      try numbers.pooling(.maximum, ceilMode: ceilMode, input, channels, place)
    }
  }

  private var numbers: WindowNumbers<Axes> {
    WindowNumbers(kernel: window, stride: stride, padding: padding, dilation: dilation)
  }
}
