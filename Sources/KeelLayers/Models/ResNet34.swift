import KeelGraph
import KeelTensor

/// ResNet-34 for photographs (224×224×3) in its usual layout: large stem, stages of 3, 4, 6 and 3 basic
/// blocks, 64 to 512 channels, linear classifier. 21,797,672 trainable values for 1000 classes,
/// 3,663,761,408 multiply-adds for an image. Paths as in `ResNet`.
///
/// He et al. 2016, arXiv 1512.03385.
public struct ResNet34: Layer, CustomReflectable {
  /// The network.
  public var network: ResNet

  /// Makes the network with random weights.
  /// - Parameter classes: the number of classes; nil for a network that ends in the 512 pooled features.
  public init(classes: Int? = 1000, inputChannels: Int = 3, using source: inout RandomSource) {
    network = ResNet(
      inputChannels: inputChannels, stem: .large, stages: ResNet.photographStages([3, 4, 6, 3]),
      classes: classes, using: &source)
  }

  /// Records the network.
  public func callAsFunction(_ x: Variable) -> Variable { network(x) }

  /// The network's own children: what keeps `network` out of the paths.
  public var customMirror: Mirror { network.customMirror }
}
