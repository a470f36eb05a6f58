import KeelGraph
import KeelTensor

/// The residual block of a 1×1, a 3×3 and a 1×1 convolution: y = ReLU(f(x) + x) with f = conv, BN, ReLU,
/// conv, BN, ReLU, conv, BN. The 3×3 works on few channels, the last 1×1 widens them four times.
/// Where width or stride change the shape, x goes through a shortcut of its own.
///
/// He et al. 2016, arXiv 1512.03385; the stride is on the 3×3 convolution, as in PyTorch's models.
public struct BottleneckBlock: Layer {
  /// How much wider the result is than the 3×3 convolution.
  public static let expansion = 4

  /// The 1×1 convolution that narrows.
  public var conv1: Conv2d
  /// The norm after it.
  public var bn1: any Layer
  /// The 3×3 convolution, which has the stride.
  public var conv2: Conv2d
  /// The norm after it.
  public var bn2: any Layer
  /// The 1×1 convolution that widens.
  public var conv3: Conv2d
  /// The norm after it.
  public var bn3: any Layer
  /// What fits x to the sum; nil for the identity.
  public var shortcut: (any Layer)?

  /// Makes a block whose result has four times `width` channels.
  public init(
    _ inputChannels: Int, width: Int, stride: Int = 1,
    shortcut: ResNet.Shortcut = .projection, initializer: any Initializer = .residual,
    norm: ChannelNorm = { BatchNorm($0) }, using source: inout RandomSource
  ) {
    let (wide, overflows) = width.multipliedReportingOverflow(by: Self.expansion)
    // A wrong width is reported as the caller gave it.
    let outputChannels = overflows || width < 1 ? width : wide
    conv1 = Conv2d(
      inputChannels, width, kernel: 1, bias: false, initializer: initializer, using: &source)
    bn1 = norm(width)
    conv2 = Conv2d(
      width, width, kernel: 3, stride: stride, padding: 1, bias: false, initializer: initializer,
      using: &source)
    bn2 = norm(width)
    conv3 = Conv2d(
      width, outputChannels, kernel: 1, bias: false, initializer: initializer, using: &source)
    bn3 = norm(outputChannels)
    self.shortcut = shortcut.layer(
      inputChannels, outputChannels, stride: stride, initializer: initializer, norm: norm,
      using: &source)
  }

  /// Records the block, shortcut first, so that the sum can be fused into the last convolution.
  public func callAsFunction(_ x: Variable) -> Variable {
    let skipped = shortcut.map { $0(x) } ?? x
    let narrow = bn2(conv2(bn1(conv1(x)).relu())).relu()
    return bn3(conv3(narrow)).addingResidual(skipped).relu()
  }
}
