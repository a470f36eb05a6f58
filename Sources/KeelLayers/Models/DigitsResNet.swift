import KeelGraph
import KeelTensor

/// A residual network for the handwritten digits (8×8×1): small stem, then stages of bottleneck blocks at
/// 8×8, 4×4 and 2×2, linear classifier. As it is made without further arguments: 22 convolutions,
/// 2,092,544 multiply-adds for an image, 220,090 trainable values. Paths as in `ResNet`.
public struct DigitsResNet: Layer, CustomReflectable {
  /// The network.
  public var network: ResNet

  /// Makes the network with random weights. Wrong sizes are thrown when the graph is made.
  /// - Parameters:
  ///   - widths: the channels of the 3×3 convolutions of each stage, a quarter of the stage's results;
  ///     stages after the first halve height and width.
  ///   - blocksPerStage: the number of bottleneck blocks in each stage.
  ///   - classes: the number of classes; nil for a network that ends in the pooled features.
  ///   - norm: what stands behind each convolution.
  public init(
    widths: [Int] = [16, 32, 64], blocksPerStage: Int = 2, classes: Int? = 10,
    inputChannels: Int = 1, norm: ChannelNorm = { BatchNorm($0) },
    using source: inout RandomSource
  ) {
    let stages = widths.enumerated().map { position, width in
      ResNet.Stage(width: width, blocks: blocksPerStage, stride: position == 0 ? 1 : 2)
    }
    network = ResNet(
      inputChannels: inputChannels, stem: .small, block: .bottleneck, stages: stages,
      classes: classes, norm: norm, using: &source)
  }

  /// Records the network.
  public func callAsFunction(_ x: Variable) -> Variable { network(x) }

  /// The network's own children: what keeps `network` out of the paths.
  public var customMirror: Mirror { network.customMirror }
}
