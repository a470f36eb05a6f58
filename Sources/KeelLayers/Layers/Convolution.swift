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
/// with q = ⌊o / (Cout/G)⌋ and zeros around x (or what `paddingMode` says), see `ConvolutionGeometry`. Each axis becomes
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
  /// How much is put around the input.
  public let padding: AxisPadding<Axes>
  /// What is put around the input.
  public let paddingMode: PaddingMode
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
  ///   - paddingMode: zeros, or elements of the input, of which there must be enough: reflected,
  ///     replicated or from the other end.
  ///   - bias: whether there is a bias; one before a batch norm is useless. It starts as PyTorch's,
  ///     uniform in ±1/√(fan in).
  ///   - initializer: what the weight starts from; `.standard` is PyTorch's, `.residual` is for
  ///     networks of ReLUs.
  ///   - source: where random numbers come from.
  public init(
    _ inputChannels: Int, _ outputChannels: Int, kernel: AxisNumbers<Axes>,
    stride: AxisNumbers<Axes> = 1, padding: AxisPadding<Axes> = 0,
    paddingMode: PaddingMode = .zeros, dilation: AxisNumbers<Axes> = 1, groups: Int = 1,
    bias: Bool = true, initializer: any Initializer = .standard,
    using source: inout RandomSource
  ) {
    (weight, self.bias) = convolutionParameters(
      outputChannels, kernel.numbers, inputChannels, groups: groups,
      bias: bias ? outputChannels : nil, initializer: initializer, using: &source)
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    self.kernel = kernel
    self.stride = stride
    self.padding = padding
    self.paddingMode = paddingMode
    self.dilation = dilation
    self.groups = groups
  }

  /// Makes a convolution with the same numbers on all axes.
  public init(
    _ inputChannels: Int, _ outputChannels: Int, kernel: Int, stride: Int = 1, padding: Int = 0,
    paddingMode: PaddingMode = .zeros, dilation: Int = 1, groups: Int = 1, bias: Bool = true,
    initializer: any Initializer = .standard, using source: inout RandomSource
  ) {
    self.init(
      inputChannels, outputChannels, kernel: AxisNumbers(kernel), stride: AxisNumbers(stride),
      padding: .each(AxisNumbers(padding)), paddingMode: paddingMode,
      dilation: AxisNumbers(dilation), groups: groups,
      bias: bias, initializer: initializer, using: &source)
  }

  /// Records the convolution; where the padding is not of zeros, a padding of its own before it.
  public func callAsFunction(_ x: Variable) -> Variable {
    let kind = "Conv\(Axes.axisCount)d"
    let padsBefore = paddingMode != .zeros && padding != 0
    let x = padsBefore ? padded(x, at: x.trace.place(of: weight, kind: kind)) : x
    return x.convolved(weight, bias, axisCount: Axes.axisCount, kind: kind) {
      (extents, epilogue, place) throws(KeelError) in
      var axes: [SpatialAxis] = []
      for (extent, axis) in zip(extents, try window.axes(at: place)) {
        axes.append(
          try SpatialAxis(
            input: extent, window: axis.kernel, stride: axis.stride,
            paddingBefore: padsBefore ? 0 : axis.before, paddingAfter: padsBefore ? 0 : axis.after,
            dilation: axis.dilation, name: axis.name, place: place))
      }
      let geometry = try ConvolutionGeometry(
        axes: axes, inputChannels: inputChannels, outputChannels: outputChannels, groups: groups,
        place: place)
      return .convolution(geometry, epilogue)
    }
  }

  private var window: WindowNumbers<Axes> {
    WindowNumbers(kernel: kernel, stride: stride, padding: padding, dilation: dilation)
  }

  private func padded(_ x: Variable, at place: String) -> Variable {
    guard x.spatialExtents(axisCount: Axes.axisCount, at: place) != nil else {
      return x.trace.nothing()
    }
    do {
      let amounts = try window.axes(at: place).map {
        $0.before == 0 && $0.after == 0
          ? AxisMovement.whole : .pad(before: $0.before, after: $0.after, paddingMode)
      }
      if amounts.allSatisfy({ $0 == .whole }) { return x }
      let movement = Movement([.whole] + amounts + [.whole])
      return x.trace.apply(.movement(movement), [x], label: place)[0]
    } catch {
      x.trace.fail(error)
      return x.trace.nothing()
    }
  }
}
