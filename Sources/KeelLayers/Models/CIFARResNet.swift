import KeelGraph
import KeelTensor

/// The residual networks for CIFAR (32×32×3) of 6n + 2 layers: 3×3 stem of 16 channels, three stages of n
/// basic blocks at 32×32×16, 16×16×32 and 8×8×64, global average pooling, linear classifier. Between stages a shortcut
/// takes every other position and adds channels of zeros.
///
/// | depth | n | parameters | multiply-adds for an image |
/// |---|---|---|---|
/// | 20 | 3 | 269,722 | 40,551,040 |
///
/// Paths as in `ResNet`.
///
/// He et al. 2016, arXiv 1512.03385, section 4.2.
public struct CIFARResNet: Layer, CustomReflectable {
  /// The network.
  public var network: ResNet
  private let failure: KeelError?

  /// Makes the network with random weights. A depth that is not 6n + 2 and wrong sizes are thrown when
  /// the graph is made.
  /// - Parameters:
  ///   - depth: the number of layers with weights: 20, 32, 44, 56, 110.
  ///   - classes: the number of classes; nil for a network that ends in the 64 pooled features.
  public init(
    depth: Int = 20, classes: Int? = 10, inputChannels: Int = 3, using source: inout RandomSource
  ) {
    let isDepth = depth >= 8 && depth % 6 == 2
    failure =
      isDepth
      ? nil
      : KeelError(
        .argument, at: "depth", expected: "6n + 2 with n at least 1", found: "\(depth)")
    let blocks = isDepth ? depth / 6 : 1
    network = ResNet(
      inputChannels: inputChannels, stem: .small,
      stages: [16, 32, 64].map { .init(width: $0, blocks: blocks, stride: $0 == 16 ? 1 : 2) },
      shortcut: .padding, classes: classes, using: &source)
  }

  /// Records the network.
  public func callAsFunction(_ x: Variable) -> Variable {
    if let failure {
      x.trace.fail(failure)
      return x.trace.nothing()
    }
    return network(x)
  }

  /// The network's own children: what keeps `network` out of the paths.
  public var customMirror: Mirror { network.customMirror }
}
