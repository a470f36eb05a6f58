import Keel

/// The tensors of one shape, and the graphs over them.
struct ShapeData {
  let shape: ConvolutionShape
  let input: Tensor
  let weight: Tensor
  private let mean: Tensor, variance: Tensor, scale: Tensor, shift: Tensor

  /// Draws the tensors; the same shape gets the same numbers in every run.
  init(_ shape: ConvolutionShape) {
    self.shape = shape
    let geometry = shape.geometry
    let channels: Shape = [geometry.outputChannels]
    var random = RandomSource(seed: 20_250_731)
    // Uniform in ±1, with weights that keep the result's variance near 1/3.
    input = Tensor(uniform: geometry.inputShape(batch: shape.batch), from: -1, using: &random)
    let reach = (3 / Double(shape.depth)).squareRoot()
    weight = Tensor(uniform: geometry.weightShape, from: -reach, to: reach, using: &random)
    mean = Tensor(uniform: channels, from: -0.5, to: 0.5, using: &random)
    variance = Tensor(uniform: channels, from: 0.2, to: 0.6, using: &random)
    scale = Tensor(uniform: channels, from: 0.5, to: 1.5, using: &random)
    shift = Tensor(uniform: channels, from: -0.5, to: 0.5, using: &random)
  }

  /// The convolution alone.
  func convolutionGraph() throws(KeelError) -> Graph {
    var builder = GraphBuilder()
    let y = try convolution(&builder)
    builder.output("y", y)
    return try builder.finish()
  }

  /// Convolution, batch norm with given statistics, ReLU: three nodes.
  func unfusedGraph() throws(KeelError) -> Graph {
    var builder = GraphBuilder()
    let y = try convolution(&builder)
    let normalized = try builder.append(
      .normalization(Normalization(statistics: .given)),
      [
        y, builder.weight("mean", mean, role: .state),
        builder.weight("variance", variance, role: .state), builder.weight("scale", scale),
        builder.weight("shift", shift),
      ])
    let activated = try builder.append(.activation(.relu), [normalized[0]])
    builder.output("y", activated[0])
    return try builder.finish()
  }

  private func convolution(_ builder: inout GraphBuilder) throws(KeelError) -> ValueID {
    let x = builder.input("x", ValueType(shape: input.shape))
    let w = builder.weight("weight", weight)
    return try builder.append(.convolution(shape.geometry, Epilogue()), [x, w])[0]
  }

  /// One element of the convolution's result, summed in Double by the definition.
  func expected(flat index: Int) -> Double {
    let geometry = shape.geometry
    let (height, width) = (geometry.height, geometry.width)
    let channel = index % geometry.outputChannels
    let position = index / geometry.outputChannels
    let column = position % width.output
    let row = position / width.output % height.output
    let image = position / width.output / height.output
    let depth = geometry.inputChannelsPerGroup
    let firstChannel = channel / geometry.outputChannelsPerGroup * depth
    var sum = 0.0
    for u in 0..<height.window {
      let i = row * height.stride + u * height.dilation - height.paddingBefore
      guard i >= 0, i < height.input else { continue }
      for v in 0..<width.window {
        let j = column * width.stride + v * width.dilation - width.paddingBefore
        guard j >= 0, j < width.input else { continue }
        let x = ((image * height.input + i) * width.input + j) * geometry.inputChannels
        let w = ((channel * height.window + u) * width.window + v) * depth
        for c in 0..<depth {
          sum += Double(input[flat: x + firstChannel + c]) * Double(weight[flat: w + c])
        }
      }
    }
    return sum
  }
}
