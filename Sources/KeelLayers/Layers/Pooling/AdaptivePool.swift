import KeelGraph
import KeelTensor

/// Takes means of bins of sequences N×L×C so that the output has a given size.
public typealias AdaptiveAveragePool1d = AdaptiveAveragePool<OneAxis>
/// Takes means of bins of images N×H×W×C so that the output has a given size.
public typealias AdaptiveAveragePool2d = AdaptiveAveragePool<TwoAxes>
/// Takes means of bins of volumes N×D×H×W×C so that the output has a given size.
public typealias AdaptiveAveragePool3d = AdaptiveAveragePool<ThreeAxes>

/// Takes means of bins so that the output has a given size, see `PoolingAxis`.
public struct AdaptiveAveragePool<Axes: AxisCount>: Layer {
  /// The output's extents.
  public let output: AxisNumbers<Axes>

  /// Makes a pooling to an output size. A size below 1 is thrown when the graph is made.
  public init(_ output: AxisNumbers<Axes>) { self.output = output }

  /// Makes a pooling to the same size on all axes.
  public init(_ output: Int) { self.init(AxisNumbers(output)) }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable {
    x.pooled(.average(countsPadding: false), to: output)
  }
}

/// Takes maxima of bins of sequences N×L×C so that the output has a given size.
public typealias AdaptiveMaxPool1d = AdaptiveMaxPool<OneAxis>
/// Takes maxima of bins of images N×H×W×C so that the output has a given size.
public typealias AdaptiveMaxPool2d = AdaptiveMaxPool<TwoAxes>
/// Takes maxima of bins of volumes N×D×H×W×C so that the output has a given size.
public typealias AdaptiveMaxPool3d = AdaptiveMaxPool<ThreeAxes>

/// Takes maxima of bins so that the output has a given size, see `PoolingAxis`.
public struct AdaptiveMaxPool<Axes: AxisCount>: Layer {
  /// The output's extents.
  public let output: AxisNumbers<Axes>

  /// Makes a pooling to an output size. A size below 1 is thrown when the graph is made.
  public init(_ output: AxisNumbers<Axes>) { self.output = output }

  /// Makes a pooling to the same size on all axes.
  public init(_ output: Int) { self.init(AxisNumbers(output)) }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable { x.pooled(.maximum, to: output) }
}
