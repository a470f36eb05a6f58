import KeelExecution
import KeelGraph
import KeelKernels
import KeelTensor
import KeelTestSupport
import Testing

/// Class contract: every error names the place, what was expected and what was found.
@Suite struct PlanErrorTests {
  private func error(_ body: () throws -> Void) throws -> KeelError {
    do {
      try body()
    } catch let error as KeelError {
      return error
    }
    throw KeelError(.value, at: "the test", expected: "an error", found: "none")
  }

  private func expect(
    _ kind: KeelError.Kind, at place: String, expected: String, found: String,
    sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
  ) throws {
    let actual = try error(body)
    #expect(
      actual == KeelError(kind, at: place, expected: expected, found: found),
      sourceLocation: sourceLocation)
  }

  private func graph() throws -> Graph {
    var writer = NetworkWriter(seed: 1)
    let x = writer.builder.input("x", ValueType([.batch, 4]))
    let labels = writer.builder.input("labels", ValueType(.int64, [.batch]))
    let logits = try writer.linear(x, 4, 3, label: "linear")
    writer.builder.output("y", logits)
    writer.builder.output(
      "loss",
      try writer.builder.append(.loss(Loss(.crossEntropy())), [logits, labels], label: "head")[0])
    writer.builder.output("labels", labels)
    return try writer.builder.finish()
  }

  private let shapes: [String: Shape] = ["x": [2, 4], "labels": [2]]

  // MARK: When a plan is made

  @Test func shapesThatDoNotFit() throws {
    let graph = try graph()
    func make(_ shapes: [String: Shape]) throws { _ = try Plan(graph, inputShapes: shapes) }
    try expect(
      .graph, at: "input labels", expected: "int64 batch", found: "no value"
    ) { try make(["x": [2, 4]]) }
    try expect(
      .graph, at: "input z", expected: "one of [\"labels\", \"x\"]", found: "z"
    ) { try make(["x": [2, 4], "labels": [2], "z": [1]]) }
    try expect(
      .shape, at: "input x", expected: "float32 batch×4, no extent 0", found: "2×5"
    ) { try make(["x": [2, 5], "labels": [2]]) }
    try expect(
      .shape, at: "input labels", expected: "int64 batch, no extent 0", found: "3"
    ) { try make(["x": [2, 4], "labels": [3]]) }
    try expect(
      .shape, at: "input x", expected: "float32 batch×4, no extent 0", found: "2"
    ) { try make(["x": [2], "labels": [2]]) }
  }

  @Test func emptyBatch() throws {
    let graph = try graph()
    try expect(
      .shape, at: "input x", expected: "float32 batch×4, no extent 0", found: "0×4"
    ) { _ = try Plan(graph, inputShapes: ["x": [0, 4], "labels": [0]]) }
    try expect(
      .shape, at: "input x", expected: "float32 batch×4, no extent 0", found: "0×4"
    ) {
      _ = try Interpreter(graph).run([
        "x": .float32(Tensor(zeros: [0, 4])), "labels": .int64(IndexTensor(zeros: [0])),
      ])
    }
  }

  @Test(arguments: [ValueType([.batch, 5]), ValueType([.batch, 1, 1, 5])])
  func oneValuePerChannelInTraining(type: ValueType) throws {
    var writer = NetworkWriter(seed: 2)
    let x = writer.builder.input("x", type)
    let scale = writer.builder.weight("scale", writer.numbers([5]))
    let shift = writer.builder.weight("shift", writer.numbers([5]))
    let y = try writer.builder.append(
      .normalization(Normalization(statistics: .current)), [x, scale, shift], label: "stage1.bn")
    writer.builder.output("y", y[0])
    let graph = try writer.builder.finish()
    let shape = try type.shape(binding: ["batch": 1])
    let expected = "more than one value per channel for batch norm"
    try expect(.shape, at: "stage1.bn", expected: expected, found: "\(shape)") {
      _ = try Plan(graph, inputShapes: ["x": shape])
    }
    try expect(.shape, at: "stage1.bn", expected: expected, found: "\(shape)") {
      _ = try Interpreter(graph).run(["x": .float32(Tensor(zeros: shape))])
    }
    #expect(throws: KeelError.self) { try graph.reference(["x": .float32(Tensor(zeros: shape))]) }
    let two = try type.shape(binding: ["batch": 2])
    #expect(throws: Never.self) { try Plan(graph, inputShapes: ["x": two]) }
  }

  // MARK: When a plan is run

  @Test func missingAndUnknownInputs() throws {
    let graph = try graph()
    let plan = try Plan(graph, inputShapes: shapes)
    let x = TensorValue.float32(Tensor(zeros: [2, 4]))
    try expect(
      .graph, at: "input labels", expected: "a value of shape 2", found: "none"
    ) { _ = try plan(["x": x]) }
    try expect(
      .graph, at: "input z", expected: "one of [\"labels\", \"x\"]", found: "z"
    ) { _ = try plan(["x": x, "labels": .int64(IndexTensor(zeros: [2])), "z": x]) }
    try expect(.graph, at: "input labels", expected: "int64 batch", found: "no value") {
      _ = try Interpreter(graph).run(["x": x])
    }
  }

  @Test func inputsThatDoNotFit() throws {
    let graph = try graph()
    let workspace = try Plan(graph, inputShapes: shapes).makeWorkspace()
    try expect(.shape, at: "input x", expected: "float32 2×4", found: "float32 4×2") {
      try workspace.setInput("x", .float32(Tensor(zeros: [4, 2])))
    }
    try expect(.shape, at: "input x", expected: "float32 2×4", found: "int64 2×4") {
      try workspace.setInput("x", .int64(IndexTensor(zeros: [2, 4])))
    }
    try expect(.shape, at: "input labels", expected: "int64 2", found: "float32 2") {
      try workspace.setInput("labels", .float32(Tensor(zeros: [2])))
    }
    try expect(.graph, at: "input y", expected: "one of [\"labels\", \"x\"]", found: "y") {
      try workspace.setInput("y", .float32(Tensor(zeros: [2])))
    }
    try expect(.shape, at: "labels", expected: "float32 elements", found: "int64") {
      try workspace.withInput("labels") { _ in }
    }
    try expect(.shape, at: "input x", expected: "float32 batch×4", found: "int64 2×4") {
      _ = try Interpreter(graph).run([
        "x": .int64(IndexTensor(zeros: [2, 4])), "labels": .int64(IndexTensor(zeros: [2])),
      ])
    }
  }

  @Test func outputsThatAreNot() throws {
    let workspace = try Plan(graph(), inputShapes: shapes).makeWorkspace()
    let names = "one of [\"labels\", \"loss\", \"y\"]"
    try expect(.graph, at: "output x", expected: names, found: "x") {
      _ = try workspace.output("x")
    }
    try expect(.graph, at: "output x", expected: names, found: "x") {
      try workspace.withOutput("x") { _ in }
    }
    try expect(.shape, at: "labels", expected: "float32 elements", found: "int64") {
      try workspace.withOutput("labels") { _ in }
    }
  }

  @Test func weightsThatDoNotFit() throws {
    let graph = try graph()
    for weights in [PlanOptions.Weights.constant, .variable] {
      let plan = try Plan(graph, inputShapes: shapes, options: PlanOptions(weights: weights))
      let workspace = plan.makeWorkspace()
      if weights == .constant {
        // What runs need of them is packed.
        try expect(
          .graph, at: "weight linear.weight", expected: "a plan with variable weights",
          found: "constant weights"
        ) { _ = try workspace.weight("linear.weight") }
        #expect(workspace.weights.isEmpty)
      } else {
        try expect(
          .graph, at: "weight w", expected: "one of [\"linear.weight\"]", found: "w"
        ) { try workspace.setWeight("w", Tensor(zeros: [1])) }
        try expect(
          .graph, at: "weight w", expected: "one of [\"linear.weight\"]", found: "w"
        ) { _ = try workspace.weight("w") }
        #expect(
          try workspace.weight("linear.weight") == graph.weight(named: "linear.weight")?.tensor)
      }
      let (expected, found) =
        weights == .constant ? ("a plan with variable weights", "constant weights") : ("3×4", "4×3")
      try expect(
        weights == .constant ? .graph : .shape, at: "weight linear.weight", expected: expected,
        found: found
      ) { try workspace.setWeight("linear.weight", Tensor(zeros: [4, 3])) }
    }
  }

  @Test func workspaceOfAnotherPlan() async {
    // Its memory may be too small for this one.
    await #expect(processExitsWith: .failure) {
      var writer = NetworkWriter(seed: 3)
      let x = writer.builder.input("x", ValueType([.batch, 4]))
      writer.builder.output("y", try writer.relu(x))
      let graph = try writer.builder.finish()
      let small = try Plan(graph, inputShapes: ["x": [2, 4]]).makeWorkspace()
      try Plan(graph, inputShapes: ["x": [2000, 4]]).run(small)
    }
  }

  @Test func closuresSeeInputsAndOutputs() throws {
    let plan = try Plan(graph(), inputShapes: shapes)
    let workspace = plan.makeWorkspace()
    try workspace.withInput("x") { x in
      #expect(x.count == 8)
      for i in 0..<x.count { x[i] = Float(i) }
    }
    try plan.run(workspace)
    let y = try workspace.output("y").floats(at: "y").elements
    try workspace.withOutput("y") { span in
      #expect(span.count == 6)
      for i in 0..<span.count { #expect(span[i] == y[i]) }
    }
  }

  @Test(arguments: [-1, 3, .max, .min] as [Int64])
  func labelsOutOfRange(label: Int64) throws {
    let graph = try graph().differentiated()
    let inputs: [String: TensorValue] = [
      "x": .float32(Tensor(zeros: [2, 4])),
      "labels": .int64(try IndexTensor([0, label], shape: [2])),
    ]
    let plan = try Plan(graph, inputShapes: shapes)
    try expect(
      .value, at: "head, label 1", expected: "a class from 0 to 2", found: "\(label)"
    ) { _ = try plan(inputs) }
    try expect(
      .value, at: "head, label 1", expected: "a class from 0 to 2", found: "\(label)"
    ) { _ = try Interpreter(graph).run(inputs) }
    #expect(throws: KeelError.self) { try graph.reference(inputs) }
  }
}
