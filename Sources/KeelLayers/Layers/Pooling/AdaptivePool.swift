import KeelGraph
import KeelTensor

/// Takes the means of bins of N×L×C so that the output has a given size, see `PoolingAxis`.
public struct AdaptiveAveragePool1d: Layer {
  /// The output's extents, outermost first.
  public let output: [Int]

  /// Makes a pooling to an output size. A size below 1 is thrown when the graph is made.
  public init(_ output: Int) { self.output = [output] }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable {
    x.pooled(.average(countsPadding: false), to: output)
  }
}

/// Takes the means of bins of N×H×W×C so that the output has a given size, see `PoolingAxis`.
public struct AdaptiveAveragePool2d: Layer {
  /// The output's extents, outermost first.
  public let output: [Int]

  /// Makes a pooling to an output size. A size below 1 is thrown when the graph is made.
  public init(_ output: PerAxis) { self.output = output.numbers }

  /// Makes a pooling to the same size on all axes.
  public init(_ output: Int) { self.init(PerAxis(output)) }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable {
    x.pooled(.average(countsPadding: false), to: output)
  }
}

/// Takes the means of bins of N×D×H×W×C so that the output has a given size, see `PoolingAxis`.
public struct AdaptiveAveragePool3d: Layer {
  /// The output's extents, outermost first.
  public let output: [Int]

  /// Makes a pooling to an output size. A size below 1 is thrown when the graph is made.
  public init(_ output: PerVolumeAxis) { self.output = output.numbers }

  /// Makes a pooling to the same size on all axes.
  public init(_ output: Int) { self.init(PerVolumeAxis(output)) }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable {
    x.pooled(.average(countsPadding: false), to: output)
  }
}

/// Takes the largest elements of bins of N×L×C so that the output has a given size, see `PoolingAxis`.
public struct AdaptiveMaxPool1d: Layer {
  /// The output's extents, outermost first.
  public let output: [Int]

  /// Makes a pooling to an output size. A size below 1 is thrown when the graph is made.
  public init(_ output: Int) { self.output = [output] }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable { x.pooled(.maximum, to: output) }
}

/// Takes the largest elements of bins of N×H×W×C so that the output has a given size, see `PoolingAxis`.
public struct AdaptiveMaxPool2d: Layer {
  /// The output's extents, outermost first.
  public let output: [Int]

  /// Makes a pooling to an output size. A size below 1 is thrown when the graph is made.
  public init(_ output: PerAxis) { self.output = output.numbers }

  /// Makes a pooling to the same size on all axes.
  public init(_ output: Int) { self.init(PerAxis(output)) }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable { x.pooled(.maximum, to: output) }
}

/// Takes the largest elements of bins of N×D×H×W×C so that the output has a given size, see `PoolingAxis`.
public struct AdaptiveMaxPool3d: Layer {
  /// The output's extents, outermost first.
  public let output: [Int]

  /// Makes a pooling to an output size. A size below 1 is thrown when the graph is made.
  public init(_ output: PerVolumeAxis) { self.output = output.numbers }

  /// Makes a pooling to the same size on all axes.
  public init(_ output: Int) { self.init(PerVolumeAxis(output)) }

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable { x.pooled(.maximum, to: output) }
}
