import KeelExecution
import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Class identity: activations in epilogues, and where fusing must leave them alone.
@Suite struct ActivationFusionTests {
  /// A convolution (several channels around vector widths, grouped, depthwise) or a linear layer, then
  /// the activation.
  private func network(_ kind: Int, _ activation: Activation, batch: Extent = .batch, seed: UInt64)
    throws -> Graph
  {
    var writer = NetworkWriter(seed: seed)
    let y: ValueID
    if kind == 3 {
      let x = writer.builder.input("x", ValueType([batch, 11]))
      y = try writer.linear(x, 11, 19, bias: true, label: "layer")
    } else {
      let (inputs, outputs, groups) = [(5, 21, 1), (6, 10, 2), (17, 17, 17)][kind]
      let x = writer.builder.input("x", ValueType([batch, 5, 5, .fixed(inputs)]))
      y = try writer.convolution(
        x, sameGeometry(5, inputs, outputs, groups: groups), bias: kind == 0, label: "layer")
    }
    writer.builder.output("y", try writer.activation(activation, y))
    return try writer.builder.finish()
  }

  @Test(arguments: Activation.everyKind, [0, 1, 2, 3])
  func fusedEqualsUnfused(_ activation: Activation, kind: Int) throws {
    let graph = try network(kind, activation, seed: 21)
    let (folded, report) = try graph.folded()
    #expect(folded.nodes.count == 1 && report.fusedCount == 1)
    #expect(folded.nodes[0].primitive.name.hasSuffix("+ \(activation.name)"))
    let inputs = try graph.randomInputs(seed: 22)
    // Elementwise loops give an element the same bits wherever it stands.
    let expected = try Interpreter(graph).run(inputs).outputs
    expectSameBits(try Interpreter(folded).run(inputs).outputs, expected, activation.name)
    expectClose(
      try expected["y"]!.floats(at: "y"), try folded.reference(inputs).outputs["y"]!,
      bound: Tolerance.reduction(length: 200), activation.name)
  }

  @Test(
    arguments: [(Activation.sigmoid, Activation.silu), (.hardSigmoid, .hardSwish)], [true, false])
  func productsWithTheirGateAreOneActivation(_ kinds: (Activation, Activation), isFirst: Bool)
    throws
  {
    var writer = NetworkWriter(seed: 26)
    let x = writer.builder.input("x", ValueType([.batch, 11]))
    let v = try writer.linear(x, 11, 19, bias: true, label: "layer")
    let gate = try writer.activation(kinds.0, v)
    let y = try writer.builder.append(.arithmetic(.multiply), isFirst ? [v, gate] : [gate, v])[0]
    writer.builder.output("y", y)
    let graph = try writer.builder.finish()
    let (folded, report) = try graph.folded()
    #expect(folded.nodes.map(\.primitive.name) == ["linear + \(kinds.1.name)"])
    #expect(report.fusedCount == 2)
    let inputs = try graph.randomInputs(seed: 27)
    expectClose(
      try Interpreter(folded).run(inputs).outputs["y"]!.floats(at: "y"),
      try graph.reference(inputs).outputs["y"]!, bound: Tolerance.reduction(length: 200))
  }

  @Test func aGateThatSomethingElseTakesStays() throws {
    var writer = NetworkWriter(seed: 28)
    let x = writer.builder.input("x", ValueType([.batch, 11]))
    let gate = try writer.activation(.sigmoid, x)
    writer.builder.output("gate", gate)
    writer.builder.output("y", try writer.builder.append(.arithmetic(.multiply), [x, gate])[0])
    let folded = try writer.builder.finish().folded().graph
    #expect(folded.nodes.map(\.primitive.name) == ["sigmoid", "multiply"])
  }

  @Test(arguments: Activation.everyKind, [0, 3])
  func fusedForTrainingHasTheSameGradients(_ activation: Activation, kind: Int) throws {
    let graph = try network(kind, activation, batch: 3, seed: 23)
    let (fused, report) = try graph.fused()
    #expect(report.fusedCount == (activation.gradientOperand == .result ? 1 : 0))
    if activation.gradientOperand == .input {
      #expect(report.entries.last?.outcome == .kept(reason: "its gradient needs its argument"))
    }
    let names = ["x", "layer.weight", "layer.bias"]
    func gradients(_ graph: Graph) throws -> Graph {
      try graph.contracted("y", seed: 24)
        .differentiated(contractedName, withRespectTo: .named(names))
    }
    let inputs = try graph.randomInputs(seed: 25)
    let expected = try gradients(graph).reference(inputs).outputs
    let actual = try Interpreter(gradients(fused)).run(inputs).outputs
    for name in names.map(Graph.gradientName) {
      expectClose(
        try actual[name]!.floats(at: name), expected[name]!,
        bound: Tolerance.reduction(length: 1600), "\(activation.name), \(name)")
    }
  }

  @Test(arguments: Activation.everyKind.filter { $0.gradientOperand == .input })
  func foldedEpilogueWithoutItsArgumentHasNoGradient(_ activation: Activation) throws {
    let folded = try network(0, activation, batch: 3, seed: 26).folded().graph
    let error = #expect(throws: KeelError.self) {
      try folded.contracted("y", seed: 27)
        .differentiated(contractedName, withRespectTo: .named(["layer.weight"]))
    }
    #expect(error?.kind == .graph && error?.place == "layer")
  }

  @Test(arguments: [Activation.tanh, .gelu()])
  func batchNormTakesInOnlyReLU(_ activation: Activation) throws {
    var writer = NetworkWriter(seed: 28)
    let x = writer.builder.input("x", ValueType([.batch, 4, 4, 3]))
    let y = try writer.norm(x, label: "bn")
    writer.builder.output("y", try writer.activation(activation, y))
    let (folded, report) = try writer.builder.finish().folded()
    #expect(folded.nodes.count == 2)
    #expect(
      report.entries.last?.outcome
        == .kept(reason: "batch norm takes in no activation but ReLU"))
    // Folded into a convolution, the norm is no obstacle.
    var other = NetworkWriter(seed: 29)
    let image = other.builder.input("x", ValueType([.batch, 4, 4, 3]))
    let sum = try other.norm(
      other.convolution(image, sameGeometry(4, 3, 18), label: "conv"), label: "bn")
    other.builder.output("y", try other.activation(activation, sum))
    let graph = try other.builder.finish()
    #expect(try graph.folded().graph.nodes.count == 1)
    try expectFoldedEqual(graph, seed: 30, folds: 1)
  }
}
