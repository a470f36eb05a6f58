import KeelGraph
import KeelTensor

/// VGG-11 (configuration A) for photographs (224×224×3), with or without batch norm: 3×3 convolutions and
/// max pooling, then three linear layers.
///
/// | path | operation | output |
/// |---|---|---|
/// | `features` | convolution 64, pooling | 112×112×64 |
/// | | convolution 128, pooling | 56×56×128 |
/// | | convolution 256, twice, pooling | 28×28×256 |
/// | | convolution 512, twice, pooling | 14×14×512 |
/// | | convolution 512, twice, pooling | 7×7×512 |
/// | | flatten | 25088 |
/// | `classifier` | linear, ReLU, dropout, twice | 4096 |
/// | | linear | 1000 |
///
/// Maps of other sizes, from images of at least 32×32, are brought to 7×7 by adaptive average pooling.
/// 132,863,336 parameters, with batch norm 132,868,840; 7,609,090,048 multiply-adds for an image. Every
/// convolution has a bias and is followed by a ReLU. Paths are those of torchvision: `features.0.weight`,
/// `classifier.6.bias`.
///
/// Weights start as torchvision's: convolutions normal with deviation √(2/fan out), linear layers normal
/// with deviation 0.01, biases 0.
///
/// Simonyan and Zisserman 2015, arXiv 1409.1556.
public struct VGG11: Layer {
  /// Convolutions, norms, ReLUs and poolings.
  public var features: Sequential
  /// Linear layers, ReLUs and dropout.
  public var classifier: Sequential

  /// The channels of the convolutions before each pooling.
  private static let widths = [[64], [128], [256, 256], [512, 512], [512, 512]]

  /// Makes the network with random weights. Wrong sizes are thrown when the graph is made.
  /// - Parameters:
  ///   - batchNorm: whether a batch norm follows each convolution.
  ///   - dropout: the probability of an element between linear layers to be dropped in training.
  public init(
    classes: Int = 1000, inputChannels: Int = 3, batchNorm: Bool = false,
    dropout: Float = 0.5, using source: inout RandomSource
  ) {
    var layers: [any Layer] = []
    var channels = inputChannels
    for widths in Self.widths {
      for width in widths {
        let convolution = Conv2d(
          channels, width, kernel: 3, padding: 1, initializer: .residual, using: &source)
        convolution.bias?.fillWithZeros()
        layers.append(convolution)
        if batchNorm { layers.append(BatchNorm(width)) }
        layers.append(ReLU())
        channels = width
      }
      layers.append(MaxPool2d(2))
    }
    features = Sequential(layers)
    func linear(_ inputs: Int, _ outputs: Int, _ source: inout RandomSource) -> Linear {
      let layer = Linear(
        inputs, outputs, initializer: NormalInitializer(deviation: 0.01), using: &source)
      layer.bias?.fillWithZeros()
      return layer
    }
    classifier = Sequential(
      linear(7 * 7 * 512, 4096, &source), ReLU(), Dropout(dropout),
      linear(4096, 4096, &source), ReLU(), Dropout(dropout), linear(4096, classes, &source))
  }

  /// Records the network.
  public func callAsFunction(_ x: Variable) -> Variable {
    let maps = features(x)
    let isFitting = maps.type.map { $0.extents.dropFirst().dropLast() == [7, 7] } ?? true
    return classifier((isFitting ? maps : AdaptiveAveragePool2d(7)(maps)).flattened())
  }
}
