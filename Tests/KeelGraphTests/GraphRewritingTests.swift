import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct GraphRewritingTests {
  /// y = ReLU(x + a), beside a dead branch with weight b; a takes x after a run.
  private func graph() throws -> Graph {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([2]))
    let a = builder.weight("a", try Tensor([1, -5], shape: [2]))
    let b = builder.weight("b", Tensor(zeros: [2]))
    _ = try builder.append(.add, [x, b], label: "dead")
    let sum = try builder.append(.add, [x, a], label: "sum")[0]
    builder.output("y", try builder.append(.activation(.relu), [sum], label: "act")[0])
    builder.update("a", try builder.append(.add, [x, x], label: "double")[0])
    return try builder.finish()
  }

  private func run(_ graph: Graph) throws -> ReferenceResults {
    try ReferenceEvaluator(graph).run(["x": .real(DoubleTensor([2, 3], shape: [2]))])
  }

  @Test func copyingDropsWhatLeadsNowhere() throws {
    let copy = try graph().rewriting { (_, _, _) in nil }
    #expect(copy.nodes.map(\.label) == ["sum", "act", "double"])
    #expect(copy.weights.map(\.name) == ["a"])
    #expect(try run(copy).outputs == ["y": DoubleTensor([3, 0], shape: [2])])
    #expect(try run(copy).updates == ["a": DoubleTensor([4, 6], shape: [2])])
  }

  @Test func updatesCanBeDropped() throws {
    let copy = try graph().rewriting(keepsUpdates: false) { (_, _, _) in nil }
    #expect(copy.nodes.map(\.label) == ["sum", "act"])
    #expect(copy.updates.isEmpty)
  }

  @Test func replacingANodeDropsWhatOnlyItNeeded() throws {
    let copy = try graph().rewriting(keepsUpdates: false) { (node, inputs, _) in
      node.label == "act" ? [inputs[0]] : node.label == "sum" ? [inputs[0]] : nil
    }
    #expect(copy.nodes.isEmpty)
    #expect(copy.weights.isEmpty)
    #expect(try run(copy).outputs["y"]?.elements == [2, 3])
  }

  @Test func appendingInAReplacement() throws {
    let copy = try graph().rewriting { (node, inputs, rewriter) throws(KeelError) in
      guard node.label == "sum" else { return nil }
      let doubled = try rewriter.builder.append(.add, [inputs[1], inputs[1]], label: "new")
      return try rewriter.builder.append(.add, [inputs[0], doubled[0]], label: "sum")
    }
    #expect(copy.nodes.map(\.label) == ["new", "sum", "act", "double"])
    #expect(try run(copy).outputs["y"]?.elements == [4, 0])
  }

  @Test func weightsOfAnotherShape() throws {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 2]))
    let w = builder.weight("w", Tensor(zeros: [3, 2]))
    builder.output("y", try builder.append(.linear(Epilogue()), [x, w])[0])
    let copy = try builder.finish().rewriting(
      replacingWeights: ["w": Tensor(zeros: [5, 2])]
    ) { (_, _, _) in nil }
    #expect(try copy.type(of: copy.output(named: "y").value) == ValueType([.batch, 5]))
  }

  @Test func weightThatOnlyAnUpdateTakes() throws {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([2]))
    _ = builder.weight("a", Tensor(zeros: [2]))
    let b = builder.weight("b", Tensor(repeating: 4, shape: [2]))
    builder.output("y", x)
    builder.update("a", b)
    let copy = try builder.finish().rewriting { (_, _, _) in nil }
    #expect(copy.weights.map(\.name) == ["a", "b"])
    #expect(try run(copy).updates["a"]?.elements == [4, 4])
  }

  @Test func droppingAResultThatSomethingTakes() throws {
    let graph = try graph()
    for (label, place) in [("sum", "act"), ("act", "output y"), ("double", "update of a")] {
      let error = #expect(throws: KeelError.self) {
        try graph.rewriting { (node, _, _) in node.label == label ? [nil] : nil }
      }
      #expect(error?.kind == .graph && error?.place == place)
    }
  }
}
