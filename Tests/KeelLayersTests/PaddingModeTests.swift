import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Convolutions whose padding is made of the input's own elements.
@Suite struct PaddingModeTests {
  static let modes: [PaddingMode] = [.reflect, .replicate, .circular, .constant(2)]

  /// What the layer records equals an unpadded convolution of the padded input.
  @Test(arguments: modes) func isAConvolutionOfThePaddedInput(mode: PaddingMode) throws {
    var source = RandomSource(seed: 5)
    let padding = AxisPadding<TwoAxes>.sides(
      before: AxisNumbers(height: 1, width: 2), after: AxisNumbers(height: 0, width: 1))
    let layer = Conv2d(
      2, 3, kernel: AxisNumbers(height: 2, width: 3),
      stride: AxisNumbers(height: 1, width: 2), padding: padding, paddingMode: mode, using: &source)
    let x = Tensor(normal: [2, 4, 5, 2], using: &source)
    let graph = try Graph(tracing: layer, input: [.batch, 4, 5, 2])
    #expect(graph.nodes.map(\.primitive.name) == ["pad", "convolution"])
    let found = try ReferenceEvaluator(graph).run(["x": .real(DoubleTensor(widening: x))])
    let movement = Movement([
      .whole, .pad(before: 1, after: 0, mode), .pad(before: 2, after: 1, mode), .whole,
    ])
    let padded = try evaluate(.movement(movement), [DoubleTensor(widening: x)])[0]
    let geometry = try ConvolutionGeometry(
      inputHeight: 5, inputWidth: 8, inputChannels: 2, outputChannels: 3, kernel: (2, 3),
      stride: (1, 2))
    let expected = try evaluate(
      .convolution(geometry, Epilogue(hasBias: true)),
      [
        padded, DoubleTensor(widening: layer.weight.value),
        DoubleTensor(widening: layer.bias!.value),
      ]
    )[0]
    #expect(found.outputs["y"] == expected)
  }

  @Test func zerosNeedNoPaddingOfTheirOwn() throws {
    var source = RandomSource(seed: 5)
    for layer in [
      Conv2d(2, 3, kernel: 3, padding: 1, using: &source),
      Conv2d(2, 3, kernel: 3, paddingMode: .reflect, using: &source),
    ] {
      let graph = try Graph(tracing: layer, input: [.batch, 4, 5, 2])
      #expect(graph.nodes.count == 1)
    }
  }

  @Test func moreThanTheInputHas() throws {
    var source = RandomSource(seed: 5)
    let layer = Conv1d(2, 3, kernel: 7, padding: 4, paddingMode: .reflect, using: &source)
    let error = #expect(throws: KeelError.self) {
      _ = try Graph(tracing: layer, input: [.batch, 4, 2])
    }
    #expect(
      error?.description == "argument error at Conv1d: expected reflect padding of at most 3 "
        + "(input 4) on axis 1, found 4 and 4")
  }
}
