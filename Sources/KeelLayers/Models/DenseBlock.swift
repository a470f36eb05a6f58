import KeelGraph
import KeelTensor

/// Layers that each add maps to those they are given: N×H×W×C becomes N×H×W×(C + layers·growth).
///
/// Huang et al. 2017, arXiv 1608.06993.
public struct DenseBlock: Layer, CustomReflectable {
  /// The layers; each sees the block's input and the maps of all layers before it.
  public var layers: [DenseLayer]

  /// Makes a block.
  /// - Parameter growth: the number of maps that each layer adds.
  public init(_ inputChannels: Int, growth: Int, layers: Int, using source: inout RandomSource) {
    self.layers = []
    for position in 0..<max(layers, 0) {
      self.layers.append(
        DenseLayer(inputChannels + position * growth, growth: growth, using: &source))
    }
  }

  /// Records the block.
  public func callAsFunction(_ x: Variable) -> Variable {
    layers.reduce(x) { maps, layer in Variable.concatenation([maps, layer(maps)]) }
  }

  /// The layers by the names that paths are made of.
  public var customMirror: Mirror {
    let children = layers.enumerated().map { ("denselayer\($0 + 1)", $1 as Any) }
    return Mirror(self, children: children.map { ($0, $1) }, displayStyle: .struct)
  }
}

/// One layer of a `DenseBlock`: batch norm, ReLU, 1×1 convolution to 4·growth channels, batch norm, ReLU,
/// 3×3 convolution to `growth` channels.
public struct DenseLayer: Layer {
  /// The norm of what the layer is given.
  public var norm1: BatchNorm
  /// The 1×1 convolution.
  public var conv1: Conv2d
  /// The norm after it.
  public var norm2: BatchNorm
  /// The 3×3 convolution.
  public var conv2: Conv2d

  /// Makes a layer.
  public init(_ inputChannels: Int, growth: Int, using source: inout RandomSource) {
    let (wide, overflows) = growth.multipliedReportingOverflow(by: 4)
    // A wrong growth is reported as the caller gave it.
    let width = overflows ? growth : wide
    norm1 = BatchNorm(inputChannels)
    conv1 = Conv2d(
      inputChannels, width, kernel: 1, bias: false, initializer: KaimingNormal(), using: &source)
    norm2 = BatchNorm(width)
    conv2 = Conv2d(
      width, growth, kernel: 3, padding: 1, bias: false, initializer: KaimingNormal(),
      using: &source)
  }

  /// Records the layer: its new maps alone.
  public func callAsFunction(_ x: Variable) -> Variable {
    conv2(norm2(conv1(norm1(x).relu())).relu())
  }
}

/// What stands between two blocks of a `DenseNet`: batch norm, ReLU, 1×1 convolution, 2×2 average pooling.
public struct DenseTransition: Layer {
  /// The norm.
  public var norm: BatchNorm
  /// The convolution.
  public var conv: Conv2d

  /// Makes a transition.
  public init(_ inputChannels: Int, _ outputChannels: Int, using source: inout RandomSource) {
    norm = BatchNorm(inputChannels)
    conv = Conv2d(
      inputChannels, outputChannels, kernel: 1, bias: false, initializer: KaimingNormal(),
      using: &source)
  }

  /// Records the transition.
  public func callAsFunction(_ x: Variable) -> Variable { AveragePool2d(2)(conv(norm(x).relu())) }
}
