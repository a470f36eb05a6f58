import KeelGraph
import KeelTensor

/// A residual network of basic or bottleneck blocks: stem, stages, global average pooling, linear
/// classifier.
///
/// `ResNet18`, `ResNet34` and `ResNet50` are its layouts for photographs, `CIFARResNet` and
/// `DigitsResNet` those for small images. Paths: `conv1.weight`, `bn1.scale`, `stage1.0.conv1.weight`,
/// `stage2.0.shortcut.bn.shift`, `classifier.weight`.
///
/// He et al. 2016, arXiv 1512.03385; convolutions have no bias, a batch norm follows each.
public struct ResNet: Layer, CustomReflectable {
  /// What comes before the first stage.
  public enum Stem: Hashable, Sendable {
    /// 3×3, stride 1: for images of a few pixels.
    case small
    /// 7×7, stride 2, then 3×3 max pooling, stride 2: for photographs.
    case large
  }

  /// What stages are made of.
  public enum Block: Hashable, Sendable {
    /// Two 3×3 convolutions: `BasicBlock`.
    case basic
    /// 1×1, 3×3 and 1×1 convolutions: `BottleneckBlock`, with results four times as wide as the stage.
    case bottleneck
  }

  /// Blocks of one width; the first has the stride.
  public struct Stage: Hashable, Sendable {
    /// The number of channels of the 3×3 convolutions; the results of bottleneck blocks have four times
    /// as many.
    public var width: Int
    /// The number of blocks.
    public var blocks: Int
    /// The stride of the first block.
    public var stride: Int

    /// Makes a stage.
    public init(width: Int, blocks: Int, stride: Int) {
      self.width = width
      self.blocks = blocks
      self.stride = stride
    }
  }

  /// The convolution of the stem.
  public var conv1: Conv2d
  /// The norm after it.
  public var bn1: any Layer
  /// The pooling of the large stem.
  public var pool: MaxPool2d?
  /// The blocks of each stage.
  public var stages: [[any Layer]]
  /// The classifier; nil for a network that ends in the pooled features.
  public var classifier: Linear?
  private let failure: KeelError?

  /// Makes a network. Wrong sizes, no stage or a stage without a block are thrown when the graph is
  /// made.
  ///
  /// - Parameters:
  ///   - stemWidth: the channels of the stem; nil for the first stage's width.
  ///   - block: what stages are made of.
  ///   - shortcut: what fits the input of a block to its result where they differ.
  ///   - classes: the number of classes; nil for a network that ends in the pooled features.
  ///   - norm: what stands behind each convolution.
  public init(
    inputChannels: Int, stem: Stem, stemWidth: Int? = nil, block: Block = .basic, stages: [Stage],
    shortcut: Shortcut = .projection, classes: Int?, initializer: any Initializer = .residual,
    norm: ChannelNorm = { BatchNorm($0) }, using source: inout RandomSource
  ) {
    let isLarge = stem == .large
    var channels = stemWidth ?? stages.first?.width ?? 0
    conv1 = Conv2d(
      inputChannels, channels, kernel: isLarge ? 7 : 3, stride: isLarge ? 2 : 1,
      padding: isLarge ? 3 : 1, bias: false, initializer: initializer, using: &source)
    bn1 = norm(channels)
    pool = isLarge ? MaxPool2d(3, stride: 2, padding: 1) : nil
    self.stages = []
    for stage in stages {
      var blocks: [any Layer] = []
      for position in 0..<max(stage.blocks, 0) {
        let stride = position == 0 ? stage.stride : 1
        switch block {
        case .basic:
          let made = BasicBlock(
            channels, stage.width, stride: stride, shortcut: shortcut, initializer: initializer,
            norm: norm, using: &source)
          channels = made.conv2.outputChannels
          blocks.append(made)
        case .bottleneck:
          let made = BottleneckBlock(
            channels, width: stage.width, stride: stride, shortcut: shortcut,
            initializer: initializer, norm: norm, using: &source)
          channels = made.conv3.outputChannels
          blocks.append(made)
        }
      }
      self.stages.append(blocks)
    }
    classifier = classes.map { Linear(channels, $0, using: &source) }
    failure = Self.failure(of: stages)
  }

  /// Stages of so many blocks each, 64 channels and then twice as many and half the side each time.
  internal static func photographStages(_ blocks: [Int]) -> [Stage] {
    blocks.enumerated().map { Stage(width: 64 << $0, blocks: $1, stride: $0 == 0 ? 1 : 2) }
  }

  private static func failure(of stages: [Stage]) -> KeelError? {
    if stages.isEmpty {
      return KeelError(.argument, at: "stages", expected: "at least one stage", found: "none")
    }
    for (position, stage) in stages.enumerated() where stage.blocks < 1 {
      return KeelError(
        .argument, at: "stage\(position + 1)", expected: "at least 1 block",
        found: "\(stage.blocks)")
    }
    return nil
  }

  /// Records the network up to the pooled features, N×C.
  public func features(_ x: Variable) -> Variable {
    if var failure {
      let path = x.trace.layerPath(of: conv1.weight).split(separator: ".").dropLast()
      failure.place = (path.map(String.init) + [failure.place]).joined(separator: ".")
      x.trace.fail(failure)
      return x.trace.nothing()
    }
    let stem = bn1(conv1(x)).relu()
    let pooled = pool.map { $0(stem) } ?? stem
    return stages.joined().reduce(pooled) { $1($0) }.globalAveragePooled()
  }

  /// Records the network.
  public func callAsFunction(_ x: Variable) -> Variable {
    let features = features(x)
    return classifier.map { $0(features) } ?? features
  }

  /// The layers by the names that paths are made of.
  public var customMirror: Mirror {
    var children: [Mirror.Child] = [("conv1", conv1), ("bn1", bn1)]
    for (position, stage) in stages.enumerated() {
      children.append(("stage\(position + 1)", stage))
    }
    if let classifier { children.append(("classifier", classifier)) }
    return Mirror(self, children: children, displayStyle: .struct)
  }
}
