import KeelGraph
import KeelTensor

/// MobileNetV2 for photographs (224×224×3): a stem, 17 inverted residual blocks, a wide 1×1 convolution,
/// global average pooling, linear classifier.
///
/// | path | operation | output |
/// |---|---|---|
/// | `features.0` | convolution 3×3, stride 2, batch norm, ReLU6 | 112×112×32 |
/// | `features.1` | block, not widened | 112×112×16 |
/// | `features.2`, `3` | blocks, widened 6 times as all below | 56×56×24 |
/// | `features.4` to `6` | blocks | 28×28×32 |
/// | `features.7` to `10` | blocks | 14×14×64 |
/// | `features.11` to `13` | blocks | 14×14×96 |
/// | `features.14` to `16` | blocks | 7×7×160 |
/// | `features.17` | block | 7×7×320 |
/// | `features.18` | convolution 1×1, batch norm, ReLU6 | 7×7×1280 |
/// | | global average pooling, dropout | 1280 |
/// | `classifier.1` | linear | 1000 |
///
/// 3,504,872 parameters, 300,774,272 multiply-adds for an image. Paths are those of torchvision:
/// `features.2.conv.0.0.weight`.
///
/// Weights start as torchvision's: convolutions normal with deviation √(2/fan out), the classifier normal
/// with deviation 0.01, its bias 0.
///
/// Sandler et al. 2018, arXiv 1801.04381.
public struct MobileNetV2: Layer {
  /// Stem, blocks and the wide 1×1 convolution.
  public var features: Sequential
  /// Dropout and the classifier; nil for a network that ends in the pooled features.
  public var classifier: Sequential?

  /// Expansion, channels, number of blocks, stride of the first.
  private static let stages = [
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
  ]

  /// Makes the network with random weights. Wrong sizes are thrown when the graph is made.
  /// - Parameters:
  ///   - classes: the number of classes; nil for a network that ends in the 1280 pooled features.
  ///   - dropout: the probability of a pooled feature to be dropped in training.
  public init(
    classes: Int? = 1000, inputChannels: Int = 3, dropout: Float = 0.2,
    using source: inout RandomSource
  ) {
    var channels = 32
    var layers: [any Layer] = [
      InvertedResidual.unit(
        inputChannels, channels, kernel: 3, stride: 2, initializer: .residual, using: &source)
    ]
    for (expansion, width, blocks, stride) in Self.stages {
      for position in 0..<blocks {
        layers.append(
          InvertedResidual(
            channels, width, stride: position == 0 ? stride : 1, expansion: expansion,
            using: &source))
        channels = width
      }
    }
    layers.append(
      InvertedResidual.unit(channels, 1280, kernel: 1, initializer: .residual, using: &source))
    features = Sequential(layers)
    classifier = classes.map {
      let linear = Linear(
        1280, $0, initializer: NormalInitializer(deviation: 0.01), using: &source)
      linear.bias?.fillWithZeros()
      return Sequential(Dropout(dropout), linear)
    }
  }

  /// Records the network.
  public func callAsFunction(_ x: Variable) -> Variable {
    let pooled = features(x).globalAveragePooled()
    return classifier.map { $0(pooled) } ?? pooled
  }
}
