import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// A fully connected layer, written as layers are.
private struct Dense {
  var weight: Parameter

  init(_ inputs: Int, _ outputs: Int) {
    weight = Parameter(shape: [outputs, inputs]) { Tensor(repeating: 1, shape: $0) }
  }

  func callAsFunction(_ x: Variable) -> Variable {
    x.trace.apply(
      .linear(Epilogue()), [x, x.trace.variable(weight)],
      label: x.trace.layerPath(of: weight))[0]
  }
}

private struct Network {
  var first = Dense(4, 3)
  var blocks = [Dense(3, 3), Dense(3, 2)]

  func callAsFunction(_ x: Variable) -> Variable {
    blocks.reduce(first(x).relu()) { $1($0) }
  }
}

@Suite struct TraceTests {
  @Test func layersBecomeNodesWithTheirPaths() throws {
    let network = Network()
    let trace = Trace(model: network, mode: .inference)
    let y = network(trace.input("x", ValueType([.batch, 4])))
    #expect(y.type == ValueType([.batch, 2]))
    trace.output("y", y)
    let graph = try trace.finish()
    #expect(graph.nodes.map(\.label) == ["first", "ReLU after first", "blocks.0", "blocks.1"])
    #expect(graph.weights.map(\.name) == ["first.weight", "blocks.0.weight", "blocks.1.weight"])
    let x = ReferenceValue.real(DoubleTensor(repeating: 1, shape: [1, 4]))
    #expect(try ReferenceEvaluator(graph).run(["x": x]).outputs["y"]?.elements == [36, 36])
  }

  @Test func aParameterUsedTwiceIsOneWeight() throws {
    let layer = Dense(3, 3)
    let trace = Trace(model: layer, mode: .inference)
    let x = trace.input("x", ValueType([.batch, 3]))
    trace.output("y", layer(layer(x)) + layer(x))
    let graph = try trace.finish()
    #expect(graph.weights.map(\.name) == ["weight"])
    #expect(graph.nodes.count == 4)
  }

  @Test func theFirstErrorIsKept() throws {
    var network = Network()
    network.blocks = [Dense(5, 3), Dense(7, 2)]
    let trace = Trace(model: network, mode: .inference)
    let y = network(trace.input("x", ValueType([.batch, 4])))
    #expect(y.value == nil && y.type == nil)
    trace.output("y", y.relu().flattened().softmax() + y)
    let error = try #require(#expect(throws: KeelError.self) { try trace.finish() })
    #expect(error.kind == .shape)
    #expect(error.place == "blocks.0")
    #expect(error.expected == "input with 5 columns for linear")
    #expect(error.found == "float32 batch×3")
  }

  @Test func sizesBelowOneNameTheParameter() throws {
    var network = Network()
    network.blocks[1] = Dense(3, 0)
    let trace = Trace(model: network, mode: .inference)
    _ = network(trace.input("x", ValueType([.batch, 4])))
    let error = try #require(#expect(throws: KeelError.self) { try trace.finish() })
    #expect(error.kind == .argument && error.place == "blocks.1.weight" && error.found == "0×3")
  }

  @Test func inputsOfNoSize() throws {
    let trace = Trace(model: (), mode: .inference)
    _ = trace.input("x", ValueType([.batch, 0, 3]))
    let error = try #require(#expect(throws: KeelError.self) { try trace.finish() })
    #expect(error.kind == .shape && error.place == "input x" && error.found == "float32 batch×0×3")
  }

  @Test func variablesOfTwoTraces() throws {
    let (trace, other) = (Trace(model: (), mode: .inference), Trace(model: (), mode: .inference))
    let sum = trace.input("x", ValueType([2])) + other.input("x", ValueType([2]))
    #expect(sum.value == nil)
    let error = try #require(#expect(throws: KeelError.self) { try trace.finish() })
    #expect(error.kind == .graph)
  }

  @Test func updates() throws {
    struct Model { var average = Parameter(Tensor(zeros: [2]), role: .state) }
    let (model, outside) = (Model(), Parameter(Tensor(zeros: [2]), role: .state))
    let trace = Trace(model: model, mode: .training)
    let x = trace.input("x", ValueType([2]))
    trace.update(model.average, x)
    trace.update(outside, trace.variable(outside) + x)
    trace.output("y", x)
    let graph = try trace.finish()
    // A parameter that the model does not hold has no path, but keeps its update.
    #expect(graph.updates.map(\.weight).first == "average")
    #expect(graph.updates.count == 2)
    let results = try ReferenceEvaluator(graph).run(
      ["x": .real(DoubleTensor([3, 4], shape: [2]))])
    #expect(results.updates.values.allSatisfy { $0.elements == [3, 4] })
  }
}

@Suite struct VariableTests {
  private func trace(_ extents: [Extent], _ body: (Variable) -> Variable) throws -> Graph {
    let trace = Trace(model: (), mode: .inference)
    trace.output("y", body(trace.input("x", ValueType(extents))))
    return try trace.finish()
  }

  private func type(_ extents: [Extent], _ body: (Variable) -> Variable) throws -> ValueType {
    let graph = try trace(extents, body)
    return graph.type(of: try graph.output(named: "y").value)
  }

  @Test func types() throws {
    #expect(try type([.batch, 4, 5, 6]) { $0.flattened() } == ValueType([.batch, 120]))
    #expect(try type([.batch]) { $0.flattened() } == ValueType([.batch, 1]))
    #expect(try type([.batch, 4, 5, 6]) { $0.globalAveragePooled() } == ValueType([.batch, 6]))
    #expect(try type([.batch, 6]) { $0.softmax() } == ValueType([.batch, 6]))
    #expect(
      try type([.batch, 8, 6, 3]) { x in
        x.pooled { (input, channels, place) throws(KeelError) in
          try PoolingGeometry(
            .maximum, inputHeight: input[0], inputWidth: input[1], channels: channels,
            window: (2, 2), stride: (2, 2), place: place)
        }
      } == ValueType([.batch, 4, 3, 3]))
  }

  @Test(arguments: [[.batch, .symbol("length"), 3], []] as [[Extent]])
  func flattenErrors(extents: [Extent]) throws {
    let error = try #require(
      #expect(throws: KeelError.self) { try trace(extents) { $0.flattened() } })
    #expect(error.kind == .shape && error.place == "flatten after the input")
    #expect(error.found == "\(ValueType(extents))")
  }

  @Test func poolingErrors() throws {
    func pooled(_ x: Variable, window: Int) -> Variable {
      x.pooled { (input, channels, place) throws(KeelError) in
        try PoolingGeometry(
          .maximum, inputHeight: input[0], inputWidth: input[1], channels: channels,
          window: (window, window), stride: (2, 2), place: place)
      }
    }
    let vectors = try #require(
      #expect(throws: KeelError.self) { try trace([.batch, 4]) { pooled($0, window: 2) } })
    #expect(vectors.kind == .shape && vectors.expected.contains("N×H×W×C"))
    let large = try #require(
      #expect(throws: KeelError.self) { try trace([.batch, 4, 4, 1]) { pooled($0, window: 5) } })
    #expect(large.kind == .shape && large.place == "pooling after the input")
  }
}
