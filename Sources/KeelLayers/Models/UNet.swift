import KeelGraph
import KeelTensor

/// U-Net, which gives each position of an image logits of classes: a contracting path of convolutions and
/// pooling, and an expanding one that at each level joins the maps of the contracting one.
///
/// | path | operation | output, valid | output, padded |
/// |---|---|---|---|
/// | | input | 572×572×1 | 256×256×1 |
/// | `encoder.0` | two convolutions 3×3 of 64 | 568×568×64 | 256×256×64 |
/// | `encoder.1` | max pooling 2×2, two convolutions of 128 | 280×280×128 | 128×128×128 |
/// | `encoder.2` | the same with 256 | 136×136×256 | 64×64×256 |
/// | `encoder.3` | the same with 512 | 64×64×512 | 32×32×512 |
/// | `encoder.4` | the same with 1024 | 28×28×1024 | 16×16×1024 |
/// | `decoder.0` | transposed convolution 2×2 of 512, joined, two convolutions | 52×52×512 | 32×32×512 |
/// | `decoder.1` | the same with 256 | 100×100×256 | 64×64×256 |
/// | `decoder.2` | the same with 128 | 196×196×128 | 128×128×128 |
/// | `decoder.3` | the same with 64 | 388×388×64 | 256×256×64 |
/// | `head` | convolution 1×1 | 388×388×2 | 256×256×2 |
///
/// 31,030,658 parameters for one channel and two classes. Each 3×3 convolution is followed by a ReLU, with
/// `batchNorm` by a batch norm before it, and then has no bias. The maps of the contracting path are cut
/// to the size of those they join, the same on both sides: valid convolutions lose their borders, and so
/// do padded ones on images whose sides 2^levels does not divide.
///
/// Weights start normal with deviation √(2/n) for n terms behind an output, biases 0.
///
/// Ronneberger et al. 2015, arXiv 1505.04597.
public struct UNet: Layer {
  /// The levels of the contracting path, finest first, and the bottom.
  public var encoder: [DoubleConvolution]
  /// The levels of the expanding path, coarsest first.
  public var decoder: [UpConvolution]
  /// What makes logits.
  public var head: Conv2d
  private let failure: KeelError?

  /// Makes the network with random weights. Wrong sizes are thrown when the graph is made.
  /// - Parameters:
  ///   - width: the channels of the first level; each level below has twice as many.
  ///   - levels: the number of poolings.
  ///   - padded: whether convolutions keep the size of their input.
  ///   - batchNorm: whether a batch norm follows each 3×3 convolution.
  public init(
    classes: Int = 2, inputChannels: Int = 1, width: Int = 64, levels: Int = 4,
    padded: Bool = false, batchNorm: Bool = false, using source: inout RandomSource
  ) {
    failure = Self.failure(width: width, levels: levels)
    let levels = failure == nil ? levels : 0
    let options = DoubleConvolution.Options(padded: padded, batchNorm: batchNorm)
    var channels = inputChannels
    encoder = []
    for level in 0...levels {
      encoder.append(DoubleConvolution(channels, width << level, options, using: &source))
      channels = width << level
    }
    decoder = []
    for level in (0..<levels).reversed() {
      decoder.append(UpConvolution(channels, width << level, options, using: &source))
      channels = width << level
    }
    head = Conv2d(channels, classes, kernel: 1, initializer: KaimingNormal(), using: &source)
    head.bias?.fillWithZeros()
  }

  private static func failure(width: Int, levels: Int) -> KeelError? {
    for (what, value, range) in [("levels", levels, 1...16), ("width", width, 1...65536)]
    where !range.contains(value) {
      return KeelError(
        .argument, at: "UNet",
        expected: "\(what) from \(range.lowerBound) to \(range.upperBound)", found: "\(value)")
    }
    return nil
  }

  /// Records the network: N×H×W×C becomes N×H′×W′×classes.
  public func callAsFunction(_ x: Variable) -> Variable {
    if let failure {
      x.trace.fail(failure)
      return x.trace.nothing()
    }
    var y = x
    var kept: [Variable] = []
    for (level, convolutions) in encoder.enumerated() {
      y = convolutions(level == 0 ? y : MaxPool2d(2)(y))
      kept.append(y)
    }
    for (convolution, skipped) in zip(decoder, kept.dropLast().reversed()) {
      y = convolution(y, joining: skipped)
    }
    return head(y)
  }
}

/// Two 3×3 convolutions, each with a ReLU and, where wanted, a batch norm before it.
public struct DoubleConvolution: Layer {
  /// How the convolutions are made.
  public struct Options: Hashable, Sendable {
    /// Whether they keep the size of their input.
    public var padded: Bool
    /// Whether a batch norm follows each, which then has no bias.
    public var batchNorm: Bool

    /// Makes options.
    public init(padded: Bool = false, batchNorm: Bool = false) {
      self.padded = padded
      self.batchNorm = batchNorm
    }
  }

  /// The first convolution.
  public var conv1: Conv2d
  /// The norm after it, if any.
  public var bn1: BatchNorm?
  /// The second convolution.
  public var conv2: Conv2d
  /// The norm after it, if any.
  public var bn2: BatchNorm?

  /// Makes the two.
  public init(
    _ inputChannels: Int, _ outputChannels: Int, _ options: Options,
    using source: inout RandomSource
  ) {
    func convolution(_ channels: Int, _ source: inout RandomSource) -> Conv2d {
      let layer = Conv2d(
        channels, outputChannels, kernel: 3, padding: options.padded ? 1 : 0,
        bias: !options.batchNorm, initializer: KaimingNormal(), using: &source)
      layer.bias?.fillWithZeros()
      return layer
    }
    conv1 = convolution(inputChannels, &source)
    conv2 = convolution(outputChannels, &source)
    bn1 = options.batchNorm ? BatchNorm(outputChannels) : nil
    bn2 = options.batchNorm ? BatchNorm(outputChannels) : nil
  }

  /// Records the two.
  public func callAsFunction(_ x: Variable) -> Variable {
    let first = conv1(x)
    let second = conv2((bn1.map { $0(first) } ?? first).relu())
    return (bn2.map { $0(second) } ?? second).relu()
  }
}

/// A level of the expanding path: a transposed convolution that doubles height and width, the maps of the
/// contracting path beside its own, two convolutions.
public struct UpConvolution: Sendable {
  /// The transposed convolution.
  public var up: ConvTranspose2d
  /// The convolutions.
  public var convolutions: DoubleConvolution

  /// Makes a level whose input has the channels of the level below.
  public init(
    _ inputChannels: Int, _ outputChannels: Int, _ options: DoubleConvolution.Options,
    using source: inout RandomSource
  ) {
    // Its windows do not overlap: one tap of each input channel lies behind an output.
    let deviation = (2 / Double(max(inputChannels, 1))).squareRoot()
    up = ConvTranspose2d(
      inputChannels, outputChannels, kernel: 2, stride: 2,
      initializer: NormalInitializer(deviation: deviation), using: &source)
    up.bias?.fillWithZeros()
    convolutions = DoubleConvolution(2 * outputChannels, outputChannels, options, using: &source)
  }

  /// Records the level.
  /// - Parameter skipped: the maps of the contracting path at this level, no smaller than those that the
  ///   transposed convolution makes.
  public func callAsFunction(_ x: Variable, joining skipped: Variable) -> Variable {
    let y = up(x)
    guard let extents = y.spatialExtents(axisCount: 2, at: "UNet")?.axes else {
      return x.trace.nothing()
    }
    return convolutions(Variable.concatenation([skipped.centerCropped(to: extents), y]))
  }
}
