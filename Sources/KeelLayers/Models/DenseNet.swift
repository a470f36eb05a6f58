import KeelGraph
import KeelTensor

/// A densely connected network for photographs (224×224×3): every layer of a block sees the maps of all
/// layers before it. As it is made without further arguments it is DenseNet-121:
///
/// | path | operation | output |
/// |---|---|---|
/// | `features.conv0` | convolution 7×7, stride 2 | 112×112×64 |
/// | | batch norm, ReLU, max pooling 3×3, stride 2 | 56×56×64 |
/// | `features.denseblock1` | 6 layers of 32 maps | 56×56×256 |
/// | `features.transition1` | convolution 1×1, average pooling 2×2 | 28×28×128 |
/// | `features.denseblock2` | 12 layers | 28×28×512 |
/// | `features.transition2` | as before | 14×14×256 |
/// | `features.denseblock3` | 24 layers | 14×14×1024 |
/// | `features.transition3` | as before | 7×7×512 |
/// | `features.denseblock4` | 16 layers | 7×7×1024 |
/// | | batch norm, ReLU, global average pooling | 1024 |
/// | `classifier` | linear | 1000 |
///
/// 7,978,856 parameters, 2,834,161,664 multiply-adds for an image. Norm and ReLU come before each
/// convolution, which has no bias. Paths are those of torchvision:
/// `features.denseblock1.denselayer1.norm1.scale`.
///
/// Weights start as torchvision's: convolutions normal with deviation √(2/fan in), the classifier's bias 0.
///
/// Huang et al. 2017, arXiv 1608.06993.
public struct DenseNet: Layer {
  /// Everything up to the last norm.
  public var features: DenseFeatures
  /// The classifier; nil for a network that ends in the pooled features.
  public var classifier: Linear?

  /// Makes the network with random weights. Wrong sizes are thrown when the graph is made.
  /// - Parameters:
  ///   - classes: the number of classes; nil for a network that ends in the pooled features.
  ///   - growth: the number of maps that each layer adds.
  ///   - blocks: the number of layers in each block.
  ///   - stemWidth: the channels of the first convolution.
  public init(
    classes: Int? = 1000, inputChannels: Int = 3, growth: Int = 32,
    blocks: [Int] = [6, 12, 24, 16], stemWidth: Int = 64, using source: inout RandomSource
  ) {
    features = DenseFeatures(
      inputChannels: inputChannels, growth: growth, blocks: blocks, stemWidth: stemWidth,
      using: &source)
    classifier = classes.map {
      let linear = Linear(features.norm5.channels, $0, using: &source)
      linear.bias?.fillWithZeros()
      return linear
    }
  }

  /// Records the network.
  public func callAsFunction(_ x: Variable) -> Variable {
    let pooled = features(x).relu().globalAveragePooled()
    return classifier.map { $0(pooled) } ?? pooled
  }
}

/// What a `DenseNet` has before its classifier: stem, blocks with transitions between them, a last norm.
public struct DenseFeatures: Layer, CustomReflectable {
  /// The convolution of the stem.
  public var conv0: Conv2d
  /// The norm after it.
  public var norm0: BatchNorm
  /// The blocks.
  public var blocks: [DenseBlock]
  /// What comes after each block but the last.
  public var transitions: [DenseTransition]
  /// The norm after the last block.
  public var norm5: BatchNorm
  private let failure: KeelError?

  internal init(
    inputChannels: Int, growth: Int, blocks: [Int], stemWidth: Int,
    using source: inout RandomSource
  ) {
    conv0 = Conv2d(
      inputChannels, stemWidth, kernel: 7, stride: 2, padding: 3, bias: false,
      initializer: KaimingNormal(), using: &source)
    norm0 = BatchNorm(stemWidth)
    var channels = stemWidth
    self.blocks = []
    transitions = []
    failure = Self.failure(growth: growth, blocks: blocks, stemWidth: stemWidth)
    for (position, count) in (failure == nil ? blocks : []).enumerated() {
      self.blocks.append(DenseBlock(channels, growth: growth, layers: count, using: &source))
      channels += count * growth
      if position < blocks.count - 1 {
        transitions.append(DenseTransition(channels, channels / 2, using: &source))
        channels /= 2
      }
    }
    norm5 = BatchNorm(channels)
  }

  private static func failure(growth: Int, blocks: [Int], stemWidth: Int) -> KeelError? {
    let sizes = [("growth", growth), ("stem width", stemWidth), ("blocks", blocks.count)]
    for (what, value) in sizes + blocks.map({ ("layers of a block", $0) })
    where !(1...100_000).contains(value) {
      return KeelError(
        .argument, at: "DenseNet", expected: "\(what) from 1 to 100,000", found: "\(value)")
    }
    return nil
  }

  /// Records the features.
  public func callAsFunction(_ x: Variable) -> Variable {
    if let failure {
      x.trace.fail(failure)
      return x.trace.nothing()
    }
    var y = MaxPool2d(3, stride: 2, padding: 1)(norm0(conv0(x)).relu())
    for (position, block) in blocks.enumerated() {
      y = block(y)
      if position < transitions.count { y = transitions[position](y) }
    }
    return norm5(y)
  }

  /// The layers by the names that paths are made of.
  public var customMirror: Mirror {
    var children: [Mirror.Child] = [("conv0", conv0), ("norm0", norm0)]
    for (position, block) in blocks.enumerated() {
      children.append(("denseblock\(position + 1)", block))
      if position < transitions.count {
        children.append(("transition\(position + 1)", transitions[position]))
      }
    }
    children.append(("norm5", norm5))
    return Mirror(self, children: children, displayStyle: .struct)
  }
}
