import KeelGraph
import KeelLayers
import KeelTensor
import Testing

@Suite struct ShapeTests {
  @Test func convolution() throws {
    var source = RandomSource(seed: 1)
    let plain = Conv2d(3, 8, kernel: 3, using: &source)
    #expect(try resultType(plain, [.batch, 9, 7, 3]) == ValueType([.batch, 7, 5, 8]))
    let full = Conv2d(
      4, 6, kernel: PerAxis(height: 3, width: 5), stride: PerAxis(height: 2, width: 1), padding: 2,
      dilation: PerAxis(height: 2, width: 1), groups: 2, bias: false, using: &source)
    #expect(full.weight.shape == [6, 3, 5, 2])
    #expect(full.bias == nil)
    // ⌊(11 + 4 − 2·2 − 1)/2⌋ + 1 = 6, 9 + 4 − 4 = 9.
    #expect(try resultType(full, [2, 11, 9, 4]) == ValueType([2, 6, 9, 6]))
  }

  @Test func biasIsAnOperandOnlyWhereThereIsOne() throws {
    var source = RandomSource(seed: 1)
    for (bias, operands) in [(true, 3), (false, 2)] {
      let conv = Conv2d(1, 2, kernel: 3, bias: bias, using: &source)
      let node = try #require(try Graph(tracing: conv, input: [.batch, 4, 4, 1]).nodes.first)
      #expect(node.inputs.count == operands)
      #expect(node.primitive.epilogue == Epilogue(hasBias: bias))
      let linear = Linear(5, 2, bias: bias, using: &source)
      let row = try #require(try Graph(tracing: linear, input: [.batch, 5]).nodes.first)
      #expect(row.inputs.count == operands)
    }
  }

  @Test func pooling() throws {
    #expect(try resultType(MaxPool2d(2), [.batch, 9, 8, 3]) == ValueType([.batch, 4, 4, 3]))
    #expect(
      try resultType(MaxPool2d(3, stride: 2, padding: 1), [.batch, 112, 112, 64])
        == ValueType([.batch, 56, 56, 64]))
    let average = AveragePool2d(PerAxis(height: 2, width: 3), stride: 1)
    #expect(try resultType(average, [1, 4, 4, 2]) == ValueType([1, 3, 2, 2]))
    #expect(try resultType(GlobalAveragePool(), [.batch, 4, 5, 6]) == ValueType([.batch, 6]))
    let graph = try Graph(tracing: AveragePool2d(2, countsPadding: false), input: [1, 4, 4, 1])
    guard case .pooling(let geometry) = graph.nodes[0].primitive else {
      Issue.record("no pooling")
      return
    }
    #expect(geometry.kind == .average(countsPadding: false))
  }

  /// The batch norm example network: 9216 = 64·12·12, 1,200,330 values.
  @Test func sequentialNetwork() throws {
    var source = RandomSource(seed: 1)
    let net = Sequential(
      Conv2d(1, 32, kernel: 3, using: &source), BatchNorm(32), ReLU(),
      Conv2d(32, 64, kernel: 3, using: &source), BatchNorm(64), ReLU(), MaxPool2d(2), Flatten(),
      Linear(9216, 128, using: &source), BatchNorm(128), ReLU(), Linear(128, 10, using: &source))
    #expect(net.trainableCount == 1_200_330)
    #expect(try resultType(net, [.batch, 28, 28, 1]) == ValueType([.batch, 10]))
    #expect(
      try Graph(tracing: net, input: [.batch, 28, 28, 1]).nodes.map(\.label) == [
        "0", "1", "ReLU after 1", "3", "4", "ReLU after 4", "max pooling after 4",
        "reshape after 4", "8", "9", "ReLU after 9", "11",
      ])
  }

  @Test func emptySequenceIsTheIdentity() throws {
    let graph = try Graph(tracing: Sequential(), input: [.batch, 3])
    #expect(graph.nodes.isEmpty)
    #expect(graph.outputs[0].value == graph.inputs[0].value)
  }

  @Test func residualBlock() throws {
    var source = RandomSource(seed: 1)
    let same = ResidualBlock(Conv2d(4, 4, kernel: 3, padding: 1, using: &source))
    #expect(try resultType(same, [.batch, 5, 5, 4]) == ValueType([.batch, 5, 5, 4]))
    let wider = ResidualBlock(
      Conv2d(4, 8, kernel: 3, padding: 1, using: &source),
      shortcut: Conv2d(4, 8, kernel: 1, using: &source))
    let graph = try Graph(tracing: wider, input: [.batch, 5, 5, 4])
    #expect(graph.nodes.map(\.label) == ["shortcut", "body", "add after body"])
  }

  @Test func aLayerCalledTwiceIsOneWeight() throws {
    struct Twice: Layer {
      let linear: Linear
      func callAsFunction(_ x: Variable) -> Variable { linear(linear(x)) }
    }
    var source = RandomSource(seed: 1)
    let graph = try Graph(
      tracing: Twice(linear: Linear(3, 3, using: &source)), input: [.batch, 3])
    #expect(graph.weights.map(\.name) == ["linear.weight", "linear.bias"])
    #expect(graph.nodes.count == 2)
  }
}
