import KeelGraph
import KeelTensor

/// What makes the norm behind a convolution from its number of channels: batch norm, or whitening in its
/// place.
public typealias ChannelNorm = (Int) -> any Layer

/// The residual block of two 3×3 convolutions: y = ReLU(f(x) + x) with f = conv, BN, ReLU, conv, BN.
/// Where width or stride change the shape, x goes through a shortcut of its own.
///
/// He et al. 2016, arXiv 1512.03385.
public struct BasicBlock: Layer {
  /// The first convolution, which has the stride.
  public var conv1: Conv2d
  /// The norm after it.
  public var bn1: any Layer
  /// The second convolution.
  public var conv2: Conv2d
  /// The norm after it.
  public var bn2: any Layer
  /// What fits x to the sum; nil for the identity.
  public var shortcut: (any Layer)?

  /// Makes a block.
  public init(
    _ inputChannels: Int, _ outputChannels: Int, stride: Int = 1,
    shortcut: ResNet.Shortcut = .projection, initializer: any Initializer = .residual,
    norm: ChannelNorm = { BatchNorm($0) }, using source: inout RandomSource
  ) {
    conv1 = Conv2d(
      inputChannels, outputChannels, kernel: 3, stride: stride, padding: 1, bias: false,
      initializer: initializer, using: &source)
    bn1 = norm(outputChannels)
    conv2 = Conv2d(
      outputChannels, outputChannels, kernel: 3, padding: 1, bias: false, initializer: initializer,
      using: &source)
    bn2 = norm(outputChannels)
    self.shortcut = shortcut.layer(
      inputChannels, outputChannels, stride: stride, initializer: initializer, norm: norm,
      using: &source)
  }

  /// Records the block, shortcut first, so that the sum can be fused into the second convolution.
  public func callAsFunction(_ x: Variable) -> Variable {
    let skipped = shortcut.map { $0(x) } ?? x
    return bn2(conv2(bn1(conv1(x)).relu())).addingResidual(skipped).relu()
  }
}

/// A 1×1 convolution and a batch norm, which fit the input of a residual block to its result.
public struct Projection: Layer {
  /// The convolution, which has the stride.
  public var conv: Conv2d
  /// The norm after it.
  public var bn: any Layer

  /// Makes a projection.
  public init(
    _ inputChannels: Int, _ outputChannels: Int, stride: Int = 1,
    initializer: any Initializer = .residual,
    norm: ChannelNorm = { BatchNorm($0) }, using source: inout RandomSource
  ) {
    conv = Conv2d(
      inputChannels, outputChannels, kernel: 1, stride: stride, bias: false,
      initializer: initializer, using: &source)
    bn = norm(outputChannels)
  }

  /// Records the projection.
  public func callAsFunction(_ x: Variable) -> Variable { bn(conv(x)) }
}
