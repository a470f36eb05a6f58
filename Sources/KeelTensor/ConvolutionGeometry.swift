/// The one checked description of a convolution over one, two or three axes, which drives the forward
/// pass, both gradients, the transposed convolution, the counts and the workspace.
///
/// "Convolution" is cross-correlation, as everywhere in the field:
/// y[n, i, j, o] = bias[o] + Σ_{u, v, c} weight[o, u, v, c] · x[n, i·s + u·d − p, j·s + v·d − p, q·Cin/G + c],
/// with q = ⌊o / (Cout/G)⌋, and x zero outside its extents; likewise with one axis or three.
///
/// Shapes: x N×[D×]H×W×Cin, weight Cout×[kD×]kH×kW×(Cin/G), bias Cout, y N×[D′×]H′×W′×Cout; sequences
/// are N×L×Cin with weight Cout×k×(Cin/G).
public struct ConvolutionGeometry: Hashable, Sendable, SpatialGeometry {
  /// The axes of the window.
  public let spatial: SpatialAxes
  /// Cin.
  public let inputChannels: Int
  /// Cout.
  public let outputChannels: Int
  /// G: the number of groups that do not see each other's channels.
  public let groups: Int

  /// Checks and keeps a geometry.
  /// - Parameter axes: one to three axes, outermost first.
  /// - Throws: `KeelError` of kind `argument` for another number of axes, channel counts or groups below
  ///   1, channel counts from 2³¹ on, and groups that do not divide the channels.
  public init(
    axes: [SpatialAxis], inputChannels: Int, outputChannels: Int, groups: Int = 1,
    place: String = "convolution"
  ) throws(KeelError) {
    spatial = try SpatialAxes(axes, place: place)
    try Self.checkChannels(inputChannels, outputChannels, groups: groups, place: place)
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    self.groups = groups
  }

  internal static func checkChannels(
    _ inputChannels: Int, _ outputChannels: Int, groups: Int, place: String
  ) throws(KeelError) {
    for (what, value) in [
      ("input channels", inputChannels), ("output channels", outputChannels), ("groups", groups),
    ] where value < 1 {
      throw KeelError(.argument, at: place, expected: "\(what) at least 1", found: "\(value)")
    }
    guard max(inputChannels, outputChannels) <= Int(Int32.max) else {
      throw KeelError(
        .argument, at: place, expected: "channels below 2³¹",
        found: "\(inputChannels) and \(outputChannels)")
    }
    guard inputChannels % groups == 0, outputChannels % groups == 0 else {
      throw KeelError(
        .argument, at: place, expected: "groups that divide input and output channels",
        found: "\(groups) groups for \(inputChannels) and \(outputChannels) channels")
    }
  }

  /// Makes the geometry of images.
  /// - Throws: as the full initializer.
  public init(
    height: SpatialAxis, width: SpatialAxis, inputChannels: Int, outputChannels: Int,
    groups: Int = 1, place: String = "convolution"
  ) throws(KeelError) {
    try self.init(
      axes: [height, width], inputChannels: inputChannels, outputChannels: outputChannels,
      groups: groups, place: place)
  }

  /// Makes the geometry of images with equal padding on both sides.
  /// - Throws: as the full initializer and `SpatialAxis`.
  public init(
    inputHeight: Int, inputWidth: Int, inputChannels: Int, outputChannels: Int,
    kernel: (Int, Int), stride: (Int, Int) = (1, 1), padding: (Int, Int) = (0, 0),
    dilation: (Int, Int) = (1, 1), groups: Int = 1, place: String = "convolution"
  ) throws(KeelError) {
    try self.init(
      height: SpatialAxis(
        input: inputHeight, window: kernel.0, stride: stride.0, paddingBefore: padding.0,
        paddingAfter: padding.0, dilation: dilation.0, name: "height", place: place),
      width: SpatialAxis(
        input: inputWidth, window: kernel.1, stride: stride.1, paddingBefore: padding.1,
        paddingAfter: padding.1, dilation: dilation.1, name: "width", place: place),
      inputChannels: inputChannels, outputChannels: outputChannels, groups: groups, place: place)
  }

  /// Cin / G.
  public var inputChannelsPerGroup: Int { inputChannels / groups }
  /// Cout / G.
  public var outputChannelsPerGroup: Int { outputChannels / groups }
  /// K: the length of the sum behind one output, [kD·]kH·kW·Cin/G.
  public var reductionLength: Int { tapCount * inputChannelsPerGroup }
  /// The shape of the weight, Cout×[kD×]kH×kW×(Cin/G).
  public var weightShape: Shape {
    Shape([outputChannels] + axes.map(\.window) + [inputChannelsPerGroup])
  }
  /// Whether every group has one input and one output channel.
  public var isDepthwise: Bool { groups == inputChannels && groups == outputChannels && groups > 1 }
  /// Whether the convolution is a linear map of each position by itself: 1×1, stride 1, no padding.
  public var isPointwise: Bool { depth.isPointwise && height.isPointwise && width.isPointwise }
  /// Multiply-adds of one image, padding counted: Cout·[D′·]H′·W′·K.
  public var multiplyAddsPerImage: Int { outputChannels * outputPositions * reductionLength }
  /// Weights without bias: Cout·K.
  public var weightCount: Int { outputChannels * reductionLength }
  /// Weights, and Cout biases where there is a bias.
  public func parameterCount(bias: Bool) -> Int { weightCount + (bias ? outputChannels : 0) }

  /// The shape of the input for a batch.
  public func inputShape(batch: Int) -> Shape {
    Shape([batch] + axes.map(\.input) + [inputChannels])
  }
  /// The shape of the output for a batch.
  public func outputShape(batch: Int) -> Shape {
    Shape([batch] + axes.map(\.output) + [outputChannels])
  }
}

extension ConvolutionGeometry: CustomStringConvertible {
  /// For example `3×3 64→128 on 56×56, stride 2`.
  public var description: String {
    func joined(_ numbers: [Int]) -> String { numbers.map(String.init).joined(separator: "×") }
    func short(_ numbers: [Int]) -> String {
      Set(numbers).count == 1 ? "\(numbers[0])" : joined(numbers)
    }
    let (strides, dilations) = (axes.map(\.stride), axes.map(\.dilation))
    var text = "\(joined(axes.map(\.window))) \(inputChannels)→\(outputChannels)"
    text += " on \(joined(axes.map(\.input)))"
    if strides.contains(where: { $0 != 1 }) { text += ", stride " + short(strides) }
    if dilations.contains(where: { $0 != 1 }) { text += ", dilation " + short(dilations) }
    if groups != 1 { text += ", groups \(groups)" }
    return text
  }
}

extension ConvolutionGeometry {
  /// A linear layer as the pointwise convolution of 1×1 images that it is.
  /// - Throws: `KeelError` of kind `argument` for counts below 1.
  public static func linear(
    inputs: Int, outputs: Int, place: String = "linear"
  ) throws(KeelError) -> ConvolutionGeometry {
    try ConvolutionGeometry(
      inputHeight: 1, inputWidth: 1, inputChannels: inputs, outputChannels: outputs,
      kernel: (1, 1), place: place)
  }
}
