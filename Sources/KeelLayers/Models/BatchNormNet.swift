import KeelGraph
import KeelTensor

/// A small network for handwritten digits (28×28×1) with a batch norm behind everything but the
/// classifier, those of images and that of vectors.
///
/// | path | operation | output | parameters | multiply-adds |
/// |---|---|---|---|---|
/// | `conv1` | convolution 32, 3×3 | 26×26×32 | 320 | 194,688 |
/// | `bn1` | batch norm, ReLU | 26×26×32 | 64 | |
/// | `conv2` | convolution 64, 3×3 | 24×24×64 | 18,496 | 10,616,832 |
/// | `bn2` | batch norm, ReLU | 24×24×64 | 128 | |
/// | | max pooling 2×2, dropout 0.25, flatten | 9216 | | |
/// | `fc1` | linear | 128 | 1,179,776 | 1,179,648 |
/// | `bn3` | batch norm, ReLU | 128 | 256 | |
/// | `fc2` | linear | 10 | 1,290 | 1,280 |
///
/// 1,200,330 parameters, 11,992,448 multiply-adds for an image. The result is logits: the loss takes
/// their softmax. Weights start as PyTorch's.
public struct BatchNormNet: Layer {
  /// The first convolution.
  public var conv1: Conv2d
  /// The norm after it.
  public var bn1: BatchNorm
  /// The second convolution.
  public var conv2: Conv2d
  /// The norm after it.
  public var bn2: BatchNorm
  /// What drops features in training.
  public var dropout: Dropout
  /// The hidden linear layer.
  public var fc1: Linear
  /// The norm after it.
  public var bn3: BatchNorm
  /// The classifier.
  public var fc2: Linear

  /// Makes the network with random weights. Wrong sizes are thrown when the graph is made.
  /// - Parameters:
  ///   - imageSize: the extents of its images, at least 6, which decide the size of `fc1`.
  ///   - dropout: the probability of a feature to be dropped in training.
  public init(
    classes: Int = 10, inputChannels: Int = 1, imageSize: PerAxis = 28, dropout: Float = 0.25,
    using source: inout RandomSource
  ) {
    conv1 = Conv2d(inputChannels, 32, kernel: 3, using: &source)
    bn1 = BatchNorm(32)
    conv2 = Conv2d(32, 64, kernel: 3, using: &source)
    bn2 = BatchNorm(64)
    self.dropout = Dropout(dropout)
    // Clamped first, so that no difference can overflow.
    func side(_ extent: Int) -> Int { (max(extent, 0) - 4) / 2 }
    let features = featureCount(side(imageSize.height), side(imageSize.width), 64)
    fc1 = Linear(features, 128, using: &source)
    bn3 = BatchNorm(128)
    fc2 = Linear(128, classes, using: &source)
  }

  /// Records the network.
  public func callAsFunction(_ x: Variable) -> Variable {
    let maps = bn2(conv2(bn1(conv1(x)).relu())).relu()
    let features = dropout(MaxPool2d(2)(maps))
    return fc2(bn3(fc1(features.flattened())).relu())
  }
}
