import KeelGraph
import KeelTensor

/// Enlarges sequences N×L×Cin by a transposed convolution: N×L′×Cout.
public typealias ConvTranspose1d = TransposedConvolution<OneAxis>
/// Enlarges images N×H×W×Cin by a transposed convolution: N×H′×W′×Cout.
public typealias ConvTranspose2d = TransposedConvolution<TwoAxes>
/// Enlarges volumes N×D×H×W×Cin by a transposed convolution: N×D′×H′×W′×Cout.
public typealias ConvTranspose3d = TransposedConvolution<ThreeAxes>

/// Transposes a convolution: each input position adds its channels times the kernel to the output, `stride`
/// positions from those of its neighbour.
///
/// For images, and likewise with one axis or three: y[n, i·s + u·d − p, j·s + v·d − p, q·Cout/G + c] collects
/// weight[o, u, v, c]·x[n, i, j, o] over all positions i, j and taps u, v that lead there and all o of group
/// q = ⌊o / (Cin/G)⌋, plus bias. Each axis becomes
/// (L − 1)·s − p₁ − p₂ + d·(k − 1) + op + 1 positions long.
///
/// It is the gradient of a convolution from Cout to Cin channels with respect to its input, and its weight
/// is laid out as that convolution's: PyTorch's, channels last. Its fan in is Cout/G times the taps, its fan
/// out Cin times the taps, as PyTorch counts them; the terms behind one output are neither, but
/// Cin/G·Π(k/s) of them on average, so a gain for deep stacks is the caller's to choose.
public struct TransposedConvolution<Axes: AxisCount>: Layer {
  /// Cin×[kD×][kH×]kW×(Cout/G).
  public let weight: Parameter
  /// Cout; nil without a bias.
  public let bias: Parameter?
  /// Cin.
  public let inputChannels: Int
  /// Cout.
  public let outputChannels: Int
  /// The size of the window.
  public let kernel: AxisNumbers<Axes>
  /// The step in the output from one input to the next.
  public let stride: AxisNumbers<Axes>
  /// The positions cut off around the output: the padding of the convolution that this one transposes.
  public let padding: AxisPadding<Axes>
  /// The positions added at the end of each axis, below the larger of stride and dilation: which of the
  /// sizes that the convolution maps to the same one is meant.
  public let outputPadding: AxisNumbers<Axes>
  /// The distance between neighbouring taps.
  public let dilation: AxisNumbers<Axes>
  /// G: the number of groups that do not see each other's channels.
  public let groups: Int

  /// Makes a transposed convolution.
  ///
  /// Wrong sizes are thrown when the graph is made.
  ///
  /// - Parameters:
  ///   - padding: a number for all sides, `.each` for both sides of each axis, `.sides` for each side, or
  ///     `.same` for stride 1.
  ///   - bias: whether there is a bias. It starts as PyTorch's, uniform in ±1/√(fan in).
  ///   - initializer: what the weight starts from; `.standard` is PyTorch's.
  ///   - source: where random numbers come from.
  public init(
    _ inputChannels: Int, _ outputChannels: Int, kernel: AxisNumbers<Axes>,
    stride: AxisNumbers<Axes> = 1, padding: AxisPadding<Axes> = 0,
    outputPadding: AxisNumbers<Axes> = 0, dilation: AxisNumbers<Axes> = 1, groups: Int = 1,
    bias: Bool = true, initializer: any Initializer = .standard,
    using source: inout RandomSource
  ) {
    (weight, self.bias) = convolutionParameters(
      inputChannels, kernel.numbers, outputChannels, groups: groups,
      bias: bias ? outputChannels : nil, initializer: initializer, using: &source)
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    self.kernel = kernel
    self.stride = stride
    self.padding = padding
    self.outputPadding = outputPadding
    self.dilation = dilation
    self.groups = groups
  }

  /// Makes a transposed convolution with the same numbers on all axes.
  public init(
    _ inputChannels: Int, _ outputChannels: Int, kernel: Int, stride: Int = 1, padding: Int = 0,
    outputPadding: Int = 0, dilation: Int = 1, groups: Int = 1, bias: Bool = true,
    initializer: any Initializer = .standard, using source: inout RandomSource
  ) {
    self.init(
      inputChannels, outputChannels, kernel: AxisNumbers(kernel), stride: AxisNumbers(stride),
      padding: .each(AxisNumbers(padding)), outputPadding: AxisNumbers(outputPadding),
      dilation: AxisNumbers(dilation), groups: groups, bias: bias, initializer: initializer,
      using: &source)
  }

  /// Records the transposed convolution.
  public func callAsFunction(_ x: Variable) -> Variable {
    let kind = "ConvTranspose\(Axes.axisCount)d"
    return x.convolved(weight, bias, axisCount: Axes.axisCount, kind: kind) {
      (extents, epilogue, place) throws(KeelError) in
      let window = WindowNumbers(
        kernel: kernel, stride: stride, padding: padding, dilation: dilation)
      var axes: [SpatialAxis] = []
      for (i, axis) in try window.axes(at: place).enumerated() {
        axes.append(
          try .transposed(
            input: extents[i], window: axis.kernel, stride: axis.stride,
            paddingBefore: axis.before, paddingAfter: axis.after,
            outputPadding: outputPadding.numbers[i], dilation: axis.dilation, name: axis.name,
            place: place))
      }
      let geometry = try ConvolutionGeometry.transposed(
        axes: axes, inputChannels: inputChannels, outputChannels: outputChannels, groups: groups,
        place: place)
      return .transposedConvolution(geometry, epilogue)
    }
  }
}
