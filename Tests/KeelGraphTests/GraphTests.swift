import KeelGraph
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct GraphTests {
  private func classifier() throws -> Graph {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 4]))
    let labels = builder.input("labels", ValueType(.int64, [.batch]))
    let weight = builder.weight("weight", Tensor(repeating: 1, shape: [3, 4]))
    let logits = try builder.append(.linear(Epilogue()), [x, weight], label: "head")[0]
    builder.output("logits", logits)
    builder.output("loss", try builder.append(.loss(Loss(.crossEntropy())), [logits, labels])[0])
    return try builder.finish()
  }

  @Test func bindSymbols() throws {
    #expect(
      try classifier().bindSymbols(inputShapes: ["x": [5, 4], "labels": [5]]) == ["batch": 5])
  }

  @Test(
    arguments: [
      (["x": [5, 4]], KeelError.Kind.graph, "input labels", "int64 batch", "no value"),
      (
        ["x": [5, 4], "labels": [5], "z": [1]], .graph, "input z", #"["labels", "x"]"#, "z"
      ),
      (["x": [0, 4], "labels": [0]], .shape, "input x", "batch×4", "0×4"),
      (["x": [5, 3], "labels": [5]], .shape, "input x", "batch×4", "5×3"),
      (["x": [5, 4, 1], "labels": [5]], .shape, "input x", "batch×4", "5×4×1"),
      (["x": [20], "labels": [5]], .shape, "input x", "batch×4", "20"),
      (["x": [5, 4], "labels": [6]], .shape, "input labels", "int64 batch", "6"),
    ] as [([String: Shape], KeelError.Kind, String, String, String)])
  func bindSymbolsErrors(
    shapes: [String: Shape], kind: KeelError.Kind, place: String, expected: String, found: String
  ) throws {
    let graph = try classifier()
    let error = try #require(
      #expect(throws: KeelError.self) { try graph.bindSymbols(inputShapes: shapes) })
    #expect(error.kind == kind)
    #expect(error.place == place)
    #expect(error.expected.contains(expected), "\(error)")
    #expect(error.found == found)
  }

  @Test func fixedExtentsOfZeroDoNotBind() throws {
    var builder = GraphBuilder()
    builder.output("y", builder.input("x", ValueType([2, 0])))
    let graph = try builder.finish()
    #expect(throws: KeelError.self) { try graph.bindSymbols(inputShapes: ["x": [2, 0]]) }
  }

  @Test func extentsWithoutValue() throws {
    let type = ValueType([.symbol("length"), 3])
    #expect(try type.shape(binding: ["length": 7]) == [7, 3])
    let error = #expect(throws: KeelError.self) { try type.shape(binding: ["batch": 7]) }
    #expect(error?.kind == .graph && error?.place == "extent length")
  }

  @Test func outputsAndWeightsByName() throws {
    let graph = try classifier()
    #expect(try graph.type(of: graph.output(named: "logits").value) == ValueType([.batch, 3]))
    let error = #expect(throws: KeelError.self) { try graph.output(named: "y") }
    #expect(error?.place == "output y" && error?.expected.contains("logits") == true)
    #expect(graph.weight(named: "weight")?.tensor.shape == [3, 4])
    #expect(graph.weight(named: "bias") == nil)
  }

  @Test func consumerCounts() throws {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([2]))
    let w = builder.weight("w", Tensor(zeros: [2]))
    let double = try builder.append(.add, [x, x])[0]
    let y = try builder.append(.add, [double, w])[0]
    builder.output("y", y)
    builder.output("again", y)
    builder.update("w", y)
    #expect(try builder.finish().consumerCounts() == [2, 1, 1, 3])
  }

  @Test func replacingWeights() throws {
    let graph = try classifier()
    let changed = try graph.replacingWeights(["weight": Tensor(repeating: 2, shape: [3, 4])])
    #expect(changed.weight(named: "weight")?.tensor == Tensor(repeating: 2, shape: [3, 4]))
    #expect(graph.weight(named: "weight")?.tensor == Tensor(repeating: 1, shape: [3, 4]))
    let unknown = #expect(throws: KeelError.self) {
      try graph.replacingWeights(["bias": Tensor(zeros: [3])])
    }
    #expect(unknown?.kind == .graph && unknown?.place == "weight bias")
    let wrong = #expect(throws: KeelError.self) {
      try graph.replacingWeights(["weight": Tensor(zeros: [4, 3])])
    }
    #expect(wrong?.kind == .shape && wrong?.expected == "3×4" && wrong?.found == "4×3")
  }

  @Test func typesDescribeThemselves() {
    #expect("\(ValueType([.batch, 8, 8, 16]))" == "float32 batch×8×8×16")
    #expect("\(ValueType(.int64, []))" == "int64 scalar")
  }
}
