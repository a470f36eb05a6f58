import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct GraphEditorTests {
  /// y = ReLU(x + a), beside a dead branch with weight b; a takes 2·x after a run.
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

  private func position(_ label: String, _ editor: GraphEditor) throws -> Int {
    try #require(editor.nodes.firstIndex { $0?.label == label })
  }

  @Test func finishingDropsWhatLeadsNowhere() throws {
    let copy = try GraphEditor(graph()).finish()
    #expect(copy.nodes.map(\.label) == ["sum", "act", "double"])
    #expect(copy.weights.map(\.name) == ["a"])
    #expect(try run(copy).outputs == ["y": DoubleTensor([3, 0], shape: [2])])
    #expect(try run(copy).updates == ["a": DoubleTensor([4, 6], shape: [2])])
  }

  @Test func updatesCanBeDropped() throws {
    var editor = GraphEditor(try graph())
    editor.updates = []
    let copy = try editor.finish()
    #expect(copy.nodes.map(\.label) == ["sum", "act"])
    #expect(copy.updates.isEmpty)
  }

  @Test func removingANodeDropsWhatOnlyItNeeded() throws {
    var editor = GraphEditor(try graph())
    editor.updates = []
    let act = try position("act", editor)
    let x = try #require(editor.nodes[act - 1]?.inputs[0])
    editor.nodes[act]?.inputs = [x]
    let copy = try editor.finish()
    #expect(copy.nodes.map(\.label) == ["act"])
    #expect(copy.weights.isEmpty)
    #expect(try run(copy).outputs["y"]?.elements == [2, 3])
  }

  @Test func nodesAreSorted() throws {
    var editor = GraphEditor(try graph())
    let sum = try position("sum", editor)
    let a = try #require(editor.nodes[sum]?.inputs[1])
    let doubled = editor.addValue(editor.type(of: a))
    editor.nodes[sum]?.inputs[1] = doubled
    editor.nodes.append(Node(primitive: .add, inputs: [a, a], outputs: [doubled], label: "new"))
    let copy = try editor.finish()
    let labels = copy.nodes.map(\.label)
    #expect(try #require(labels.firstIndex(of: "new")) < #require(labels.firstIndex(of: "sum")))
    #expect(try run(copy).outputs["y"]?.elements == [4, 0])
  }

  @Test func weightsOfAnotherShapeAndTakenNames() throws {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 2]))
    let w = builder.weight("w", Tensor(zeros: [3, 2]))
    builder.output("y", try builder.append(.linear(Epilogue()), [x, w])[0])
    var editor = GraphEditor(try builder.finish())
    editor.replaceWeight(w, with: Tensor(zeros: [5, 2]))
    let other = editor.addWeight("w", Tensor(zeros: [1]), role: .state)
    #expect(editor.weight(other)?.name == "w.2")
    let copy = try editor.finish()
    #expect(try copy.type(of: copy.output(named: "y").value) == ValueType([.batch, 5]))
    #expect(copy.weights.map(\.name) == ["w"])
  }

  @Test func weightThatOnlyAnUpdateTakes() throws {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([2]))
    _ = builder.weight("a", Tensor(zeros: [2]))
    let b = builder.weight("b", Tensor(repeating: 4, shape: [2]))
    builder.output("y", x)
    builder.update("a", b)
    let copy = try GraphEditor(builder.finish()).finish()
    #expect(copy.weights.map(\.name) == ["a", "b"])
    #expect(try run(copy).updates["a"]?.elements == [4, 4])
  }

  @Test func consumersAndProducers() throws {
    let editor = GraphEditor(try graph())
    let sum = try position("sum", editor)
    let act = try position("act", editor)
    let value = try #require(editor.nodes[sum]?.outputs[0])
    #expect(editor.producer(of: value) == sum)
    #expect(editor.soleConsumer(of: value) == act)
    let double = try position("double", editor)
    let x = try #require(editor.nodes[double]?.inputs[0])
    #expect(editor.consumers(of: x).count == 4, "a node that takes a value twice counts twice")
    #expect(editor.soleConsumer(of: x) == nil)
    let y = try #require(editor.nodes[act]?.outputs[0])
    #expect(editor.isResult(y) && editor.soleConsumer(of: y) == nil)
  }

  @Test func removingWhatSomethingTakes() throws {
    for (label, place) in [("sum", "act"), ("act", "y"), ("double", "a")] {
      var editor = GraphEditor(try graph())
      editor.nodes[try position(label, editor)] = nil
      let error = #expect(throws: KeelError.self) { try editor.finish() }
      #expect(error?.kind == .graph && error?.place == place)
    }
  }

  @Test func nodesThatWaitForEachOther() throws {
    var editor = GraphEditor(try graph())
    let sum = try position("sum", editor)
    let y = try #require(editor.nodes[try position("act", editor)]?.outputs[0])
    editor.nodes[sum]?.inputs[1] = y
    let error = #expect(throws: KeelError.self) { try editor.finish() }
    #expect(error?.kind == .graph)
  }
}
