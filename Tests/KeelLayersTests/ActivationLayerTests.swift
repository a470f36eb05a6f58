import KeelGraph
import KeelLayers
import KeelTensor
import Testing

/// Class contract: each activation layer records its primitive with its parameters.
@Suite struct ActivationLayerTests {
  private static let layers: [(any Layer, Activation)] = [
    (ReLU(), .relu), (Sigmoid(), .sigmoid), (Tanh(), .tanh),
    (LeakyReLU(), .leakyReLU(slope: 0.01)), (LeakyReLU(slope: 0.1), .leakyReLU(slope: 0.1)),
    (ELU(alpha: 2), .elu(alpha: 2)), (SELU(), .selu), (Softplus(), .softplus),
    (GELU(), .gelu(.exact)), (GELU(form: .tanh), .gelu(.tanh)), (SiLU(), .silu),
    (HardSigmoid(), .hardSigmoid), (HardSwish(), .hardSwish),
    (Clip(low: 0, high: 6), .clip(low: 0, high: 6)),
  ]

  @Test func layersRecordTheirPrimitive() throws {
    for (layer, activation) in Self.layers {
      let graph = try Graph(tracing: layer, input: [.batch, 3])
      #expect(graph.nodes.map(\.primitive) == [.activation(activation)])
    }
  }

  @Test func parametersOutOfRangeAreAnErrorOfTheGraph() {
    let error = #expect(throws: KeelError.self) {
      try Graph(tracing: Clip(low: 1, high: 0), input: [.batch, 3])
    }
    #expect(error?.kind == .argument)
  }
}
