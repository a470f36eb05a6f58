import KeelGraph
import KeelTensor

/// LeNet in its later form for handwritten digits (28×28×1), with ReLU and max pooling:
///
/// | path | operation | output | parameters | multiply-adds |
/// |---|---|---|---|---|
/// | `conv1` | convolution 20, 5×5, padding 2 | 28×28×20 | 520 | 392,000 |
/// | | ReLU, max pooling 2×2 | 14×14×20 | | |
/// | `conv2` | convolution 50, 5×5, padding 2 | 14×14×50 | 25,050 | 4,900,000 |
/// | | ReLU, max pooling 2×2, flatten | 2450 | | |
/// | `fc1` | linear, ReLU | 500 | 1,225,500 | 1,225,000 |
/// | `fc2` | linear | 10 | 5,010 | 5,000 |
///
/// 1,256,080 parameters, 6,522,000 multiply-adds for an image. Weights start as PyTorch's. LeCun et al.
/// 1998 have fewer maps, a sigmoid-like activation and trained subsampling instead.
public struct LeNet: Layer {
  /// The first convolution.
  public var conv1: Conv2d
  /// The second convolution.
  public var conv2: Conv2d
  /// The hidden linear layer.
  public var fc1: Linear
  /// The classifier.
  public var fc2: Linear

  /// Makes the network with random weights. Wrong sizes are thrown when the graph is made.
  /// - Parameter imageSize: the extents of its images, at least 4, which decide the size of `fc1`.
  public init(
    classes: Int = 10, inputChannels: Int = 1, imageSize: PerAxis = 28,
    using source: inout RandomSource
  ) {
    conv1 = Conv2d(inputChannels, 20, kernel: 5, padding: 2, using: &source)
    conv2 = Conv2d(20, 50, kernel: 5, padding: 2, using: &source)
    let features = featureCount(imageSize.height / 2 / 2, imageSize.width / 2 / 2, 50)
    fc1 = Linear(features, 500, using: &source)
    fc2 = Linear(500, classes, using: &source)
  }

  /// Records the network.
  public func callAsFunction(_ x: Variable) -> Variable {
    let pool = MaxPool2d(2)
    let features = pool(conv2(pool(conv1(x).relu())).relu())
    return fc2(fc1(features.flattened()).relu())
  }
}
