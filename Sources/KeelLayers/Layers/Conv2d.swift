import KeelGraph
import KeelTensor

/// Convolves images N×H×W×Cin with Cout kernels: N×H′×W′×Cout.
///
/// y[n, i, j, o] = bias[o] + Σ_{u, v, c} weight[o, u, v, c] · x[n, i·s + u·d − p, j·s + v·d − p, q·Cin/G + c]
/// with q = ⌊o / (Cout/G)⌋ and zeros around x, see `ConvolutionGeometry`.
public struct Conv2d: Layer {
  /// Cout×kH×kW×(Cin/G).
  public let weight: Parameter
  /// Cout; nil without a bias.
  public let bias: Parameter?
  /// Cin.
  public let inputChannels: Int
  /// Cout.
  public let outputChannels: Int
  /// The size of the window.
  public let kernel: PerAxis
  /// The step from one output to the next.
  public let stride: PerAxis
  /// The zeros on each side.
  public let padding: PerAxis
  /// The distance between neighbouring taps.
  public let dilation: PerAxis
  /// G: the number of groups that do not see each other's channels.
  public let groups: Int

  /// Makes a convolution.
  ///
  /// Wrong sizes (below 1, groups that do not divide the channels) are thrown when the graph is made.
  ///
  /// - Parameters:
  ///   - bias: whether there is a bias; one before a batch norm is useless. It starts as PyTorch's,
  ///     uniform in ±1/√(fan in).
  ///   - initializer: what the weight starts from; `.standard` is PyTorch's, `.residual` is for
  ///     networks of ReLUs.
  ///   - source: where random numbers come from.
  public init(
    _ inputChannels: Int, _ outputChannels: Int, kernel: PerAxis, stride: PerAxis = 1,
    padding: PerAxis = 0, dilation: PerAxis = 1, groups: Int = 1, bias: Bool = true,
    initializer: any Initializer = .standard, using source: inout RandomSource
  ) {
    let perGroup = groups >= 1 && inputChannels % groups == 0 ? inputChannels / groups : 0
    let shape: Shape = [outputChannels, kernel.height, kernel.width, perGroup]
    weight = Parameter(shape: shape) { initializer.tensor($0, using: &source) }
    let fanIn = weight.failure == nil ? Fan.input.count(of: shape) : 0
    self.bias =
      bias
      ? Parameter(shape: [outputChannels]) { standardBias($0, fanIn: fanIn, using: &source) } : nil
    self.inputChannels = inputChannels
    self.outputChannels = outputChannels
    self.kernel = kernel
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.groups = groups
  }

  /// Makes a convolution with the same numbers on both axes.
  public init(
    _ inputChannels: Int, _ outputChannels: Int, kernel: Int, stride: Int = 1, padding: Int = 0,
    dilation: Int = 1, groups: Int = 1, bias: Bool = true,
    initializer: any Initializer = .standard, using source: inout RandomSource
  ) {
    self.init(
      inputChannels, outputChannels, kernel: PerAxis(kernel), stride: PerAxis(stride),
      padding: PerAxis(padding), dilation: PerAxis(dilation), groups: groups, bias: bias,
      initializer: initializer, using: &source)
  }

  /// Records the convolution.
  public func callAsFunction(_ x: Variable) -> Variable {
    let trace = x.trace
    let place = trace.place(of: weight, kind: "Conv2d")
    guard let image = x.imageExtents(at: place) else { return trace.nothing() }
    do {
      let geometry = try ConvolutionGeometry(
        inputHeight: image.height, inputWidth: image.width, inputChannels: inputChannels,
        outputChannels: outputChannels, kernel: kernel.pair, stride: stride.pair,
        padding: padding.pair, dilation: dilation.pair, groups: groups, place: place)
      let operands = [x, trace.variable(weight)] + (bias.map { [trace.variable($0)] } ?? [])
      let epilogue = Epilogue(hasBias: bias != nil)
      return trace.apply(.convolution(geometry, epilogue), operands, label: place)[0]
    } catch {
      trace.fail(error)
      return trace.nothing()
    }
  }
}
