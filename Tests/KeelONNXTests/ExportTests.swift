import Foundation
import KeelExecution
import KeelFormats
import KeelGraph
import KeelLayers
import KeelTensor
import KeelONNX
import KeelTestSupport
import SwiftProtobuf
import Testing

/// Graphs written as ONNX.
@Suite struct ExportTests {
  /// Every operation gives the same after it was written and read; those without a form are refused.
  @Test(arguments: ExportCase.primitives)
  func operationsSurvive(_ test: PrimitiveCase) throws {
    let row = try ExportCase(test, seed: 3)
    guard ExportCase.hasForm(test.primitive) else {
      let error = #expect(throws: KeelError.self) { try ONNXModel(row.graph) }
      #expect(error?.found.contains("layer: \(test.primitive.name)") == true, "\(error!)")
      return
    }
    _ = try ONNXModel(row.graph)
    if ExportCase.unreadable.contains(test.name) { return }
    try expectSame(
      try row.outputsAfterReading(turns: false), try row.outputs(), bound: 1e-5, test.name)
  }

  /// Networks of layers give the same, whether images stay in Keel's order or are turned to ONNX's.
  @Test(arguments: ExportCase.networks, [false, true])
  func networksSurvive(_ test: ExportCase, turns: Bool) throws {
    try expectSame(
      try test.outputsAfterReading(turns: turns), try test.outputs(), bound: 2e-6, test.name)
  }

  /// A network of images needs no transpose, and weights keep their names and contents.
  @Test func residualNetworkIsWrittenChannelsFirst() throws {
    let row = try #require(ExportCase.networks.first { $0.name == "ResNet18" })
    let model = try ONNXModel(row.graph, name: "resnet")
    let proto = model.proto.graph
    #expect(!proto.node.contains { $0.opType == "Transpose" || $0.opType == "Reshape" })
    #expect(proto.name == "resnet")
    #expect(
      proto.input[0].type.tensorType.shape.dim.map(\.value)
        == [.dimParam("batch"), .dimValue(3), .dimValue(32), .dimValue(48)])
    #expect(
      proto.output[0].type.tensorType.shape.dim.map(\.value) == [.dimParam("batch"), .dimValue(5)])
    #expect(Set(proto.initializer.map(\.name)) == Set(row.graph.weights.map(\.name)))
    #expect(proto.node.first?.name == "conv1")
    let read = try model.graph(ONNXImportOptions(channelsLast: ["x"]))
    for weight in row.graph.weights {
      #expect(read.weight(named: weight.name)?.tensor == weight.tensor, "\(weight.name)")
    }
    #expect(read.nodes.count == row.graph.nodes.count)
  }

  /// An imported network is written as it came: images N×C×…, no transpose between its convolutions.
  @Test func importedNetworkIsWrittenAsItCame() throws {
    let graph = try ONNXModel(NetworkTests.network(batch: "N"), name: "m").graph()
    let model = try ONNXModel(graph)
    let proto = model.proto.graph
    #expect(
      proto.node.map(\.opType)
        == [
          "Conv", "BatchNormalization", "Relu", "MaxPool", "Conv", "Add", "Constant", "Reshape",
          "Gemm",
        ])
    #expect(
      proto.input[0].type.tensorType.shape.dim.map(\.value)
        == [.dimParam("N"), .dimValue(3), .dimValue(6), .dimValue(4)])
    var source = RandomSource(seed: 5)
    let x = ["x": TensorValue.float32(Messages.random([3, 3, 6, 4], &source))]
    let again = try Interpreter(model.graph()).run(x).outputs
    try expectSame(again, try Interpreter(graph).run(x).outputs, bound: 0, "imported network")
  }

  /// What depends on weights alone is computed: no whitening matrix is made by the model.
  @Test func whiteningMatricesAreConstants() throws {
    let row = try #require(ExportCase.networks.first { $0.name == "whitening" })
    let types = Set(try ONNXModel(row.graph).proto.graph.node.map(\.opType))
    #expect(
      types.isSubset(of: ["Conv", "Sub", "Add", "Gather", "Constant", "Relu", "Slice", "Concat"]))
  }

  @Test func sameGraphMakesSameBytes() throws {
    for test in ExportCase.networks where test.name.hasPrefix("norms") {
      let first: Data = try ONNXModel(test.graph).proto.serializedBytes()
      let second: Data = try ONNXModel(test.graph).proto.serializedBytes()
      #expect(first == second)
    }
  }

  @Test func everythingWithoutAFormIsListed() throws {
    var source = RandomSource(seed: 6)
    let model = Sequential(
      Linear(4, 6, using: &source), Dropout(0.5), Linear(6, 3, using: &source))
    let trace = Trace(model: model, mode: .training)
    let y = model(trace.input("x", ValueType([.batch, 4])))
    let labels = trace.input("labels", ValueType(.int64, [.batch]))
    trace.output("loss", y.loss(Loss(.focal()), labels))
    let graph = try trace.finish()
    let error = #expect(throws: KeelError.self) { try ONNXModel(graph, name: "trains") }
    #expect(error?.kind == .graph && error?.place == "trains")
    let lines = error?.found.split(separator: "\n").map(String.init) ?? []
    #expect(lines.first == "2 that have none:", "\(lines)")
    #expect(lines.dropFirst().contains { $0.hasSuffix(": dropout") })
    #expect(lines.dropFirst().contains { $0.hasSuffix(": focal loss") }, "\(lines)")
  }

  @Test func updatesAreRefused() throws {
    var source = RandomSource(seed: 6)
    let graph = try Graph(
      tracing: Sequential(Conv2d(2, 3, kernel: 1, using: &source), BatchNorm(3)),
      input: [.batch, 4, 4, 2], mode: .training)
    let error = #expect(throws: KeelError.self) { try ONNXModel(graph, name: "trains") }
    #expect(error?.expected.contains("inference") == true)
    _ = try ONNXModel(graph.inferenceForm())
  }

  /// One value under two names, an input given back, a weight given back, and names that are taken.
  @Test func outputsOfAnyKind() throws {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 2, 2, 3]))
    let w = builder.weight("result", try Tensor([1, 2, 3], shape: [3]))
    let y = try builder.append(.add, [x, w], label: "x")[0]
    builder.output("result", y)
    builder.output("again", y)
    builder.output("copy", x)
    builder.output("weight", w)
    let graph = try builder.finish()
    let model = try ONNXModel(graph)
    let input = ["x": TensorValue.float32(Tensor(repeating: 2, shape: [2, 2, 2, 3]))]
    let read = try Interpreter(try model.graph()).run(input).outputs
    try expectSame(read, try Interpreter(graph).run(input).outputs, bound: 0, "outputs")

    builder.output("x", y)
    let error = #expect(throws: KeelError.self) { try ONNXModel(builder.finish()) }
    #expect(error?.place == "output x")
  }

  /// What does not show that it is an image keeps its axes, unless it is said to be one.
  @Test func imagesThatDoNotShow() throws {
    let graph = try Graph(tracing: PixelUnshuffle(2), input: [.batch, 4, 6, 3])
    func extents(_ options: ONNXExportOptions) throws -> [ONNXTensorShapeProto.Dimension
      .OneOf_Value?]
    {
      try ONNXModel(graph, options: options).proto.graph.input[0].type.tensorType.shape.dim
        .map(\.value)
    }
    #expect(
      try extents(ONNXExportOptions())
        == [.dimParam("batch"), .dimValue(4), .dimValue(6), .dimValue(3)])
    let turned = ONNXExportOptions(channelsFirst: ["x", "y"])
    #expect(
      try extents(turned) == [.dimParam("batch"), .dimValue(3), .dimValue(4), .dimValue(6)])
    var source = RandomSource(seed: 3)
    let inputs = ["x": TensorValue.float32(Tensor(normal: [2, 4, 6, 3], using: &source))]
    let read = try ONNXModel(graph, options: turned)
      .graph(ONNXImportOptions(channelsLast: ["x", "y"]))
    try expectSame(
      try Interpreter(read).run(inputs).outputs, try Interpreter(graph).run(inputs).outputs,
      bound: 0, "space to depth")
  }

  /// Positions of maxima are counted within an image, not through the whole tensor as ONNX does; Keel reads no
  /// remainder, so that only the form is looked at here.
  @Test func positionsOfMaxima() throws {
    let geometry = try PoolingGeometry(
      .maximum, inputHeight: 4, inputWidth: 4, channels: 3, window: (2, 2), stride: (2, 2))
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 4, 4, 3]))
    let results = try builder.append(.maxPoolingWithIndices(geometry), [x])
    builder.output("y", results[0])
    builder.output("positions", results[1])
    let proto = try ONNXModel(builder.finish()).proto.graph
    #expect(proto.node.map(\.opType) == ["MaxPool", "Constant", "Mod"])
    #expect(proto.output.map(\.type.tensorType.elemType) == [1, 7])
  }

  /// A weight that several layers take stays one.
  @Test func sharedWeightsStayOne() throws {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 3]))
    let w = builder.weight("w", try Tensor([1, 2, 3, 4, 5, 6, 7, 8, 9], shape: [3, 3]))
    let b = builder.weight("b", try Tensor([1, 2, 3], shape: [3]))
    let image = builder.input("image", ValueType([.batch, 2, 2, 3]))
    let turned = try builder.append(.transpose(permutation: [1, 0]), [w])[0]
    let first = try builder.append(.linear(Epilogue(hasBias: true)), [x, w, b], label: "first")[0]
    let second = try builder.append(.linear(Epilogue()), [first, turned], label: "second")[0]
    let kernel = try builder.append(.reshape([3, 1, 1, 3]), [w])[0]
    let geometry = try ConvolutionGeometry(
      inputHeight: 2, inputWidth: 2, inputChannels: 3, outputChannels: 3, kernel: (1, 1))
    let map = try builder.append(.convolution(geometry, Epilogue()), [image, kernel])[0]
    builder.output("vectors", second)
    builder.output("map", try builder.append(.arithmetic(.multiply), [map, b])[0])
    let graph = try builder.finish()
    let model = try ONNXModel(graph)
    #expect(model.proto.graph.initializer.map(\.name).sorted() == ["b", "w"])
    var source = RandomSource(seed: 8)
    let inputs: [String: TensorValue] = [
      "x": .float32(Tensor(normal: [4, 3], using: &source)),
      "image": .float32(Tensor(normal: [4, 2, 2, 3], using: &source)),
    ]
    let read = try model.graph(ONNXImportOptions(channelsLast: ["image", "map"]))
    try expectSame(
      try Interpreter(read).run(inputs).outputs, try Interpreter(graph).run(inputs).outputs,
      bound: 1e-6, "shared weights")
  }

  /// Extents that stay open where a shape is an operand.
  @Test func openExtents() throws {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, .symbol("length"), 4]))
    let table = try builder.append(.reshape([.symbol("length"), .batch, 4]), [x])[0]
    let flat = try builder.append(.reduction(Reduction(.sum, axes: [0])), [table])[0]
    let wide = try builder.append(
      .expand([.symbol("length"), .batch, 4]), [flat], label: "wide")[0]
    let ones = try builder.append(.fill(2, [.batch, 4]), [], label: "ones")[0]
    builder.output("y", try builder.append(.add, [wide, ones])[0])
    let graph = try builder.finish()
    var source = RandomSource(seed: 9)
    let inputs = ["x": TensorValue.float32(Tensor(normal: [3, 5, 4], using: &source))]
    // Read with known extents: Keel reads no shape that is open twice.
    let read = try ONNXModel(graph).graph(ONNXImportOptions(extents: ["batch": 3, "length": 5]))
    try expectSame(
      try Interpreter(read).run(inputs).outputs, try Interpreter(graph).run(inputs).outputs,
      bound: 1e-6, "open extents")
  }
}

/// Expects the same outputs within a bound relative to the largest element.
func expectSame(
  _ actual: [String: TensorValue], _ expected: [String: TensorValue], bound: Double,
  _ what: String, sourceLocation: SourceLocation = #_sourceLocation
) throws {
  #expect(actual.keys.sorted() == expected.keys.sorted(), sourceLocation: sourceLocation)
  for (name, value) in expected {
    guard let other = actual[name] else { continue }
    if case .int64 = value {
      #expect(other == value, "\(what), \(name)", sourceLocation: sourceLocation)
      continue
    }
    let place = "\(what), \(name)"
    expectClose(
      try other.floats(at: place), DoubleTensor(widening: try value.floats(at: place)),
      bound: bound, place, sourceLocation: sourceLocation)
  }
}
