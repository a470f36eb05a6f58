import KeelGraph
import KeelTensor

/// A small network without norms or shortcuts for CIFAR-10 (32×32×3): what residual networks are
/// compared with.
///
/// | path | operation | output | parameters | multiply-adds |
/// |---|---|---|---|---|
/// | `conv1` | convolution 6, 5×5 | 28×28×6 | 456 | 352,800 |
/// | | ReLU, max pooling 2×2 | 14×14×6 | | |
/// | `conv2` | convolution 16, 5×5 | 10×10×16 | 2,416 | 240,000 |
/// | | ReLU, max pooling 2×2, flatten | 400 | | |
/// | `fc1` | linear, ReLU | 120 | 48,120 | 48,000 |
/// | `fc2` | linear, ReLU | 84 | 10,164 | 10,080 |
/// | `fc3` | linear | 10 | 850 | 840 |
///
/// 62,006 parameters, 651,720 multiply-adds for an image. Weights start as PyTorch's.
public struct PlainCIFARNet: Layer {
  /// The first convolution.
  public var conv1: Conv2d
  /// The second convolution.
  public var conv2: Conv2d
  /// The first hidden linear layer.
  public var fc1: Linear
  /// The second hidden linear layer.
  public var fc2: Linear
  /// The classifier.
  public var fc3: Linear

  /// Makes the network with random weights. Wrong sizes are thrown when the graph is made.
  /// - Parameter imageSize: the extents of its images, at least 16, which decide the size of `fc1`.
  public init(
    classes: Int = 10, inputChannels: Int = 3, imageSize: PerAxis = 32,
    using source: inout RandomSource
  ) {
    conv1 = Conv2d(inputChannels, 6, kernel: 5, using: &source)
    conv2 = Conv2d(6, 16, kernel: 5, using: &source)
    // Clamped first, so that no difference can overflow.
    func side(_ extent: Int) -> Int { ((max(extent, 0) - 4) / 2 - 4) / 2 }
    let features = featureCount(side(imageSize.height), side(imageSize.width), 16)
    fc1 = Linear(features, 120, using: &source)
    fc2 = Linear(120, 84, using: &source)
    fc3 = Linear(84, classes, using: &source)
  }

  /// Records the network.
  public func callAsFunction(_ x: Variable) -> Variable {
    let pool = MaxPool2d(2)
    let features = pool(conv2(pool(conv1(x).relu())).relu())
    return fc3(fc2(fc1(features.flattened()).relu()).relu())
  }
}
