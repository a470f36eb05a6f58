import KeelGraph
import KeelTensor

/// Convolves sequences N×L×Cin with Cout kernels: N×L′×Cout.
public typealias Conv1d = Convolution<OneAxis>
/// Convolves images N×H×W×Cin with Cout kernels: N×H′×W′×Cout.
public typealias Conv2d = Convolution<TwoAxes>
/// Convolves volumes N×D×H×W×Cin with Cout kernels: N×D′×H′×W′×Cout.
public typealias Conv3d = Convolution<ThreeAxes>

/// Convolves sequences, images or volumes with Cout kernels.
///
/// For images, and likewise with one axis or three:
/// y[n, i, j, o] = bias[o] + Σ_{u, v, c} weight[o, u, v, c] · x[n, i·s + u·d − p, j·s + v·d − p, q·Cin/G + c]
/// with q = ⌊o / (Cout/G)⌋ and zeros around x, see `ConvolutionGeometry`. Each axis becomes
/// ⌊(L + p₁ + p₂ − d·(k − 1) − 1)/s⌋ + 1 positions long.
public struct Convolution<Axes: AxisCount>: Layer {
  /// Cout×[kD×][kH×]kW×(Cin/G).
  public let weight: Parameter
  /// Cout; nil without a bias.
  public let bias: Parameter?
  /// Cin.
  public let inputChannels: Int
  /// Cout.
  public let outputChannels: Int
  /// The size of the window.
  public let kernel: AxisNumbers<Axes>
  /// The step from one output to the next.
  public let stride: AxisNumbers<Axes>
  /// The zeros around the input.
  public let padding: AxisPadding<Axes>
  /// The distance between neighbouring taps.
  public let dilation: AxisNumbers<Axes>
  /// G: the number of groups that do not see each other's channels.
  public let groups: Int

  /// Makes a convolution.
  ///
  /// Wrong sizes (below 1, groups that do not divide the channels, `.same` with a stride) are thrown when
  /// the graph is made.
  ///
  /// - Parameters:
  ///   - padding: a number for all sides, `.each` for both sides of each axis, `.sides` for each side, or
  ///     `.same`.
  ///   - bias: whether there is a bias; one before a batch norm is useless. It starts as PyTorch's,
  ///     uniform in ±1/√(fan in).
  ///   - initializer: what the weight starts from; `.standard` is PyTorch's, `.residual` is for
  ///     networks of ReLUs.
  ///   - source: where random numbers come from.
  public init(
    _ inputChannels: Int, _ outputChannels: Int, kernel: AxisNumbers<Axes>,
    stride: AxisNumbers<Axes> = 1, padding: AxisPadding<Axes> = 0,
    dilation: AxisNumbers<Axes> = 1, groups: Int = 1, bias: Bool = true,
    initializer: any Initializer = .standard, using source: inout RandomSource
  ) {
    (weight, self.bias) = convolutionParameters(
      outputChannels, kernel.numbers, inputChannels, groups: groups,
      bias: bias ? outputChannels : nil, initializer: initializer, using: &source)
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    self.kernel = kernel
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.groups = groups
  }

  /// Makes a convolution with the same numbers on all axes.
  public init(
    _ inputChannels: Int, _ outputChannels: Int, kernel: Int, stride: Int = 1, padding: Int = 0,
    dilation: Int = 1, groups: Int = 1, bias: Bool = true,
    initializer: any Initializer = .standard, using source: inout RandomSource
  ) {
    self.init(
      inputChannels, outputChannels, kernel: AxisNumbers(kernel), stride: AxisNumbers(stride),
      padding: .each(AxisNumbers(padding)), dilation: AxisNumbers(dilation), groups: groups,
      bias: bias, initializer: initializer, using: &source)
  }

  /// Records the convolution.
  public func callAsFunction(_ x: Variable) -> Variable {
    x.convolved(weight, bias, axisCount: Axes.axisCount, kind: "Conv\(Axes.axisCount)d") {
      (extents, epilogue, place) throws(KeelError) in
      let window = WindowNumbers(
        kernel: kernel, stride: stride, padding: padding, dilation: dilation)
      var axes: [SpatialAxis] = []
      for (extent, axis) in zip(extents, try window.axes(at: place)) {
        axes.append(
          try SpatialAxis(
            input: extent, window: axis.kernel, stride: axis.stride, paddingBefore: axis.before,
            paddingAfter: axis.after, dilation: axis.dilation, name: axis.name, place: place))
      }
      let geometry = try ConvolutionGeometry(
        axes: axes, inputChannels: inputChannels, outputChannels: outputChannels, groups: groups,
        place: place)
      return .convolution(geometry, epilogue)
    }
  }
}
