import KeelGraph
import KeelTensor

/// ResNet-50 for photographs (224×224×3) in its usual layout: large stem, stages of 3, 4, 6 and 3
/// bottleneck blocks, 256 to 2048 channels, linear classifier. 25,557,032 trainable values for 1000
/// classes, 4,089,184,256 multiply-adds for an image. Paths as in `ResNet`.
///
/// He et al. 2016, arXiv 1512.03385; the stride is on the 3×3 convolutions, as in PyTorch's models.
public struct ResNet50: Layer, CustomReflectable {
  /// The network.
  public var network: ResNet

  /// Makes the network with random weights.
  /// - Parameter classes: the number of classes; nil for a network that ends in the 2048 pooled features.
  public init(classes: Int? = 1000, inputChannels: Int = 3, using source: inout RandomSource) {
    network = ResNet(
      inputChannels: inputChannels, stem: .large, block: .bottleneck,
      stages: ResNet.photographStages([3, 4, 6, 3]), classes: classes, using: &source)
  }

  /// Records the network.
  public func callAsFunction(_ x: Variable) -> Variable { network(x) }

  /// The network's own children: what keeps `network` out of the paths.
  public var customMirror: Mirror { network.customMirror }
}
