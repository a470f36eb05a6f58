import KeelGraph
import KeelTensor

/// Takes the L2 norm of each window of sequences N×L×C.
public typealias L2Pool1d = L2Pool<OneAxis>
/// Takes the L2 norm of each window of images N×H×W×C.
public typealias L2Pool2d = L2Pool<TwoAxes>
/// Takes the L2 norm of each window of volumes N×D×H×W×C.
public typealias L2Pool3d = L2Pool<ThreeAxes>

/// Takes the L2 norm √Σ x² of each window; padding counts as zero.
public struct L2Pool<Axes: AxisCount>: Layer {
  /// The size of the window.
  public let window: AxisNumbers<Axes>
  /// The step from one window to the next.
  public let stride: AxisNumbers<Axes>
  /// The positions around the input, at most half the window on each side.
  public let padding: AxisPadding<Axes>
  /// Whether a last window that reaches over the padding is kept; it must start inside the input or the
  /// padding before it.
  public let ceilMode: Bool

  /// Makes a pooling; the stride is the window where none is given. Wrong sizes are thrown when
  /// the graph is made.
  public init(
    _ window: AxisNumbers<Axes>, stride: AxisNumbers<Axes>? = nil, padding: AxisPadding<Axes> = 0,
    ceilMode: Bool = false
  ) {
    self.window = window
    self.stride = stride ?? window
    self.padding = padding
    self.ceilMode = ceilMode
  }

  /// Makes a pooling with the same numbers on all axes.
  public init(
    _ window: Int, stride: Int? = nil, padding: Int = 0, ceilMode: Bool = false
  ) {
    self.init(
      AxisNumbers(window), stride: stride.map { AxisNumbers($0) },
      padding: .each(AxisNumbers(padding)), ceilMode: ceilMode)
  }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable {
    x.pooled(.l2, numbers, ceilMode: ceilMode)
  }

  private var numbers: WindowNumbers<Axes> {
    WindowNumbers(kernel: window, stride: stride, padding: padding, dilation: 1)
  }
}
