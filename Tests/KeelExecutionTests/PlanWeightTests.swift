import KeelExecution
import KeelGraph
import KeelKernels
import KeelTensor
import KeelTestSupport
import Testing

/// Class contract: constant and variable weights, and when updates are made.
@Suite struct PlanWeightTests {
  private let shapes: [String: Shape] = ["x": [4, 8, 8, 1], "labels": [4]]

  private func trainingGraph() throws -> Graph {
    try PlanTests.residualNetwork(mode: .training).differentiated()
  }

  @Test func updatesAreMadeAfterEachRun() throws {
    let graph = try trainingGraph()
    let plan = try Plan(graph, inputShapes: shapes, options: PlanOptions(weights: .variable))
    let workspace = plan.makeWorkspace()
    var present = graph
    for step in 0..<3 {
      let inputs = try graph.randomInputs(seed: UInt64(step), batch: 4)
      for (name, value) in inputs { try workspace.setInput(name, value) }
      let expected = try Interpreter(present).run(inputs)
      try plan.run(workspace)
      for output in graph.outputs {
        #expect(try workspace.output(output.name).bits == expected.outputs[output.name]!.bits)
      }
      present = try present.replacingWeights(expected.updates)
      for weight in present.weights {
        #expect(try workspace.weight(weight.name) == weight.tensor, "\(weight.name), step \(step)")
      }
    }
    #expect(
      workspace.weights
        == Dictionary(uniqueKeysWithValues: present.weights.map { ($0.name, $0.tensor) }))
    // The next workspace starts from the graph's weights again.
    #expect(
      try plan.makeWorkspace().weight("bn1.runningMean")
        == graph.weight(named: "bn1.runningMean")?.tensor)
  }

  @Test func noUpdateAfterAThrowingRun() throws {
    let graph = try trainingGraph()
    let plan = try Plan(graph, inputShapes: shapes, options: PlanOptions(weights: .variable))
    let workspace = plan.makeWorkspace()
    var inputs = try graph.randomInputs(seed: 1, batch: 4)
    inputs["labels"] = .int64(try IndexTensor([0, 1, 2, 10], shape: [4]))
    for (name, value) in inputs { try workspace.setInput(name, value) }
    #expect(throws: KeelError.self) { try plan.run(workspace) }
    for weight in graph.weights {
      #expect(try workspace.weight(weight.name) == weight.tensor, "\(weight.name)")
    }
    // The workspace is good for another run.
    inputs["labels"] = .int64(try IndexTensor([0, 1, 2, 3], shape: [4]))
    try workspace.setInput("labels", inputs["labels"]!)
    try plan.run(workspace)
    #expect(
      try workspace.output("loss").bits == Interpreter(graph).run(inputs).outputs["loss"]!.bits)
  }

  @Test func constantPlansLeaveUpdatesOut() throws {
    let graph = try PlanTests.residualNetwork(mode: .training)
    let plan = try Plan(graph, inputShapes: shapes)
    #expect(plan.graph.updates.isEmpty)
    #expect(!plan.graph.nodes.contains { $0.primitive.name == "running statistics" })
    let workspace = plan.makeWorkspace()
    for (name, value) in try graph.randomInputs(seed: 1, batch: 4) {
      try workspace.setInput(name, value)
    }
    try plan.run(workspace)
    let first = try workspace.output("loss").bits
    try plan.run(workspace)
    #expect(try workspace.output("loss").bits == first)
  }

  @Test func setWeight() throws {
    let graph = try PlanTests.residualNetwork()
    let plan = try Plan(
      graph, inputShapes: ["x": [2, 8, 8, 1]], options: PlanOptions(weights: .variable))
    let workspace = plan.makeWorkspace()
    let inputs = try graph.randomInputs(seed: 1, batch: 2)
    try workspace.setInput("x", inputs["x"]!)
    var source = TensorSource(seed: 2)
    var tensors: [String: Tensor] = [:]
    for weight in graph.weights where weight.role == .trainable {
      tensors[weight.name] = source.normal(weight.tensor.shape)
      try workspace.setWeight(weight.name, tensors[weight.name]!)
    }
    try plan.run(workspace)
    let expected = try Interpreter(graph.replacingWeights(tensors)).run(inputs).outputs
    #expect(try workspace.output("y").bits == expected["y"]!.bits)
  }

  // MARK: Updates and outputs that are weights themselves

  @Test func weightsThatAreOutputsShowWhatTheRunSaw() throws {
    var writer = NetworkWriter(seed: 3)
    let x = writer.builder.input("x", ValueType([3]))
    let w = writer.builder.weight("w", writer.numbers([3]), role: .state)
    let reshaped = try writer.builder.append(.reshape([1, 3]), [w])[0]
    writer.builder.output("before", w)
    writer.builder.output("row", reshaped)
    writer.builder.output("back", try writer.builder.append(.reshape([3, 1]), [reshaped])[0])
    writer.builder.update("w", try writer.add(w, x))
    let graph = try writer.builder.finish()
    let inputs = try graph.randomInputs(seed: 4)
    let plan = try Plan(graph, inputShapes: ["x": [3]], options: PlanOptions(weights: .variable))
    let expected = try Interpreter(graph).run(inputs)
    expectSameBits(try plan(inputs), expected.outputs, "outputs")
    let workspace = plan.makeWorkspace()
    try workspace.setInput("x", inputs["x"]!)
    try plan.run(workspace)
    #expect(try workspace.weight("w") == expected.updates["w"])
  }

  @Test func weightsThatTakeEachOthersPlace() throws {
    var writer = NetworkWriter(seed: 5)
    let (a, b, c) = (
      writer.builder.weight("a", writer.numbers([3]), role: .state),
      writer.builder.weight("b", writer.numbers([3]), role: .state),
      writer.builder.weight("c", writer.numbers([1, 3]), role: .state)
    )
    writer.builder.update("a", b)
    writer.builder.update("b", try writer.builder.append(.reshape([3]), [c])[0])
    writer.builder.update("c", try writer.builder.append(.reshape([1, 3]), [a])[0])
    let graph = try writer.builder.finish()
    let plan = try Plan(graph, inputShapes: [:], options: PlanOptions(weights: .variable))
    let workspace = plan.makeWorkspace()
    try plan.run(workspace)
    let old = graph.weights.map(\.tensor.elements)
    #expect(try workspace.weight("a").elements == old[1])
    #expect(try workspace.weight("b").elements == old[2])
    #expect(try workspace.weight("c").elements == old[0])
  }

  @Test func weightsThatTakeAnInput() throws {
    var writer = NetworkWriter(seed: 6)
    let x = writer.builder.input("x", ValueType([3]))
    let w = writer.builder.weight("w", writer.numbers([3]), role: .state)
    writer.builder.update("w", x)
    writer.builder.output("y", try writer.relu(w))
    let graph = try writer.builder.finish()
    let plan = try Plan(graph, inputShapes: ["x": [3]], options: PlanOptions(weights: .variable))
    let workspace = plan.makeWorkspace()
    let inputs = try graph.randomInputs(seed: 7)
    try workspace.setInput("x", inputs["x"]!)
    try plan.run(workspace)
    #expect(try workspace.weight("w") == inputs["x"]!.floats(at: "x"))
  }

  // MARK: Constants

  @Test func constantsAreNotCopied() throws {
    // A plan has packed weights of its own; every other constant is the graph's tensor, not a copy.
    let graph = try PlanTests.residualNetwork().folded().graph
    let plan = try Plan(graph, inputShapes: ["x": [1, 8, 8, 1]])
    let held = Set(graph.weights.map(\.tensor.unsafeBase))
    #expect(plan.constants.allSatisfy { held.contains($0.unsafeBase) })
    #expect(Set(plan.constants.map(\.unsafeBase)).count == plan.constants.count)
    #expect(plan.byteCount < 1 << 20)
  }
}
