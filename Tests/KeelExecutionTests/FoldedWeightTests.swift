import KeelExecution
import KeelGraph
import KeelTensor
import KeelTestSupport
import Testing

/// Class contract: which weights a folded graph has, under which names.
@Suite struct FoldedWeightTests {
  @Test func sharedWeightIsCloned() throws {
    var writer = NetworkWriter(seed: 1)
    let x = writer.builder.input("x", ValueType([.batch, 4, 4, 3]))
    let geometry = try sameGeometry(4, 3, 3)
    let first = try writer.convolution(x, geometry, label: "a")
    let weight = try #require(writer.builder.graph.weight(named: "a.weight"))
    let second = try writer.convolution(x, geometry, weight: weight.value, label: "b")
    writer.builder.output("y", try writer.norm(first, label: "bn"))
    writer.builder.output("z", second)
    let graph = try writer.builder.finish()
    let folded = try graph.folded().graph
    #expect(folded.weight(named: "a.weight")?.tensor == weight.tensor)
    let clone = try #require(folded.weight(named: "a.weight.folded"))
    #expect(clone.tensor != weight.tensor && clone.role == weight.role)
    #expect(folded.weights.map(\.name) == ["a.weight", "a.weight.folded", "a.bias"])
    try expectFoldedEqual(graph, seed: 2, folds: 1)
  }

  @Test func twoNormsOnOneSharedWeight() throws {
    // The first takes a clone; by the second nothing shares the weight any more.
    var writer = NetworkWriter(seed: 3)
    let x = writer.builder.input("x", ValueType([.batch, 4, 4, 3]))
    let geometry = try sameGeometry(4, 3, 3)
    let first = try writer.convolution(x, geometry, label: "a")
    let weight = try #require(writer.builder.graph.weight(named: "a.weight"))
    let second = try writer.convolution(x, geometry, weight: weight.value, label: "b")
    writer.builder.output("y", try writer.norm(first, label: "bn1"))
    writer.builder.output("z", try writer.norm(second, label: "bn2"))
    try expectFoldedEqual(writer.builder.finish(), seed: 4, folds: 2)
  }

  @Test func sharedBiasAndNumbers() throws {
    var writer = NetworkWriter(seed: 5)
    let x = writer.builder.input("x", ValueType([.batch, 3]))
    let bias = writer.builder.weight("shared", writer.numbers([3]))
    let spread = writer.builder.weight("spread", Tensor(repeating: 2, shape: [3]))
    var values: [ValueID] = []
    for name in ["a", "b"] {
      let weight = writer.builder.weight("\(name).weight", writer.numbers([3, 3]))
      let y = try writer.builder.append(
        .linear(Epilogue(hasBias: true)), [x, weight, bias], label: name)[0]
      let normalization = try Normalization(statistics: .given, recovery: .none)
      values += try writer.builder.append(
        .normalization(normalization), [y, bias, spread], label: "\(name).bn")
    }
    writer.builder.output("a", values[0])
    writer.builder.output("b", values[1])
    try expectFoldedEqual(writer.builder.finish(), seed: 6, folds: 2)
  }

  @Test func namesOfNewBiases() throws {
    for (name, bias) in [
      ("stem.conv.weight", "stem.conv.bias"), ("onnx::Conv_12", "onnx::Conv_12.bias"),
      ("weight", "weight.bias"),
    ] {
      var writer = NetworkWriter(seed: 7)
      let x = writer.builder.input("x", ValueType([.batch, 4, 4, 3]))
      let geometry = try sameGeometry(4, 3, 3)
      let weight = writer.builder.weight(name, writer.numbers(geometry.weightShape))
      let y = try writer.convolution(x, geometry, weight: weight, label: "conv")
      writer.builder.output("y", try writer.norm(y, label: "bn"))
      let folded = try writer.builder.finish().folded().graph
      #expect(folded.weights.map(\.name) == [name, bias])
      #expect(folded.weight(named: bias)?.tensor.shape == [3])
    }
  }

  @Test func biasNameThatIsTaken() throws {
    var writer = NetworkWriter(seed: 8)
    let x = writer.builder.input("x", ValueType([.batch, 4, 4, 3]))
    let taken = writer.builder.weight("conv.bias", writer.numbers([3]))
    let y = try writer.convolution(x, sameGeometry(4, 3, 3), label: "conv")
    writer.builder.output("y", try writer.norm(y, label: "bn"))
    writer.builder.output("bias", taken)
    let graph = try writer.builder.finish()
    let folded = try graph.folded().graph
    #expect(folded.weights.map(\.name) == ["conv.bias", "conv.weight", "conv.bias.2"])
    #expect(folded.weight(named: "conv.bias")?.tensor == graph.weight(named: "conv.bias")?.tensor)
    try expectFoldedEqual(graph, seed: 9, folds: 1)
  }

  @Test func weightThatIsAnOutputStays() throws {
    var writer = NetworkWriter(seed: 10)
    let x = writer.builder.input("x", ValueType([.batch, 4, 4, 3]))
    let y = try writer.convolution(x, sameGeometry(4, 3, 3), label: "conv")
    writer.builder.output("y", try writer.norm(y, label: "bn"))
    writer.builder.output("w", writer.builder.graph.weight(named: "conv.weight")!.value)
    try expectFoldedEqual(writer.builder.finish(), seed: 11, folds: 1)
  }

  @Test func foldedNumbersByHand() throws {
    // a = γ/√(v + ε) = 3/√(3 + 1) = 1.5 and −1; w′ = w·a; b′ = (b − mean)·a + β.
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([1, 2]))
    let operands = [
      x, builder.weight("w", try Tensor([1, 2, 3, 4], shape: [2, 2])),
      builder.weight("b", try Tensor([10, 20], shape: [2])),
    ]
    let y = try builder.append(.linear(Epilogue(hasBias: true)), operands, label: "linear")[0]
    let numbers = [
      builder.weight("mean", try Tensor([1, 2], shape: [2])),
      builder.weight("variance", try Tensor([3, 15], shape: [2])),
      builder.weight("scale", try Tensor([3, -4], shape: [2])),
      builder.weight("shift", try Tensor([0.5, 0.25], shape: [2])),
    ]
    let normalization = try Normalization(
      statistics: .given, operation: .standardize(epsilon: 1))
    builder.output("y", try builder.append(.normalization(normalization), [y] + numbers)[0])
    let folded = try builder.finish().folded().graph
    #expect(folded.weight(named: "w")?.tensor.elements == [1.5, 3, -3, -4])
    #expect(folded.weight(named: "b")?.tensor.elements == [14, -17.75])
    #expect(folded.weights.count == 2)
  }
}
