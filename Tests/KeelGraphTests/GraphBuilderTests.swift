import KeelGraph
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct GraphBuilderTests {
  private func error(_ body: (inout GraphBuilder) throws -> Void) throws -> KeelError {
    var builder = GraphBuilder()
    return try #require(
      #expect(throws: KeelError.self) {
        try body(&builder)
        _ = try builder.finish()
      })
  }

  @Test func duplicateNames() throws {
    let vector = ValueType([.batch, 2])
    let inputs = try error { builder in
      _ = builder.input("x", vector)
      _ = builder.input("x", vector)
    }
    #expect(inputs.kind == .graph && inputs.place == "input x")
    let weights = try error { builder in
      _ = builder.weight("w", Tensor(zeros: [2]))
      _ = builder.weight("w", Tensor(zeros: [3]))
    }
    #expect(weights.kind == .graph && weights.place == "weight w")
    let outputs = try error { builder in
      let x = builder.input("x", vector)
      builder.output("y", x)
      builder.output("y", x)
    }
    #expect(outputs.kind == .graph && outputs.place == "output y")
    let updates = try error { builder in
      let w = builder.weight("w", Tensor(zeros: [2]))
      builder.update("w", w)
      builder.update("w", w)
    }
    #expect(updates.kind == .graph && updates.place == "update w")
  }

  @Test func updatesOfUnknownWeightsAndOtherShapes() throws {
    let unknown = try error { builder in
      let w = builder.weight("w", Tensor(zeros: [2]))
      builder.update("v", w)
    }
    #expect(unknown.kind == .graph && unknown.place == "update of v")
    let wrong = try error { builder in
      _ = builder.weight("w", Tensor(zeros: [2]))
      let other = builder.weight("v", Tensor(zeros: [3]))
      builder.update("w", other)
    }
    #expect(wrong.kind == .shape && wrong.place == "update of w")
    #expect(wrong.expected == "float32 2" && wrong.found == "float32 3")
  }

  @Test func valuesOfAnotherGraph() throws {
    var other = GraphBuilder()
    _ = other.input("a", ValueType([1]))
    let foreign = other.input("b", ValueType([1]))
    let operand = try error { builder in
      _ = try builder.append(.activation(.relu), [foreign], label: "act")
    }
    #expect(operand.kind == .graph && operand.place == "act")
    let output = try error { builder in builder.output("y", foreign) }
    #expect(output.kind == .graph && output.place == "output y")
    let update = try error { builder in
      _ = builder.weight("w", Tensor(zeros: [1]))
      builder.update("w", foreign)
    }
    #expect(update.kind == .graph && update.place == "update of w")
  }

  @Test func labels() throws {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 2]))
    _ = try builder.append(.activation(.relu), [x], label: "stage1.act")
    _ = try builder.append(.activation(.relu), [x])
    #expect(try builder.finish().nodes.map(\.label) == ["stage1.act", "ReLU"])
  }

  // MARK: Given statistics

  private func givenNormalization(
    mean: [Float], variance: [Float], epsilon: Float = 1e-3
  ) throws -> Graph {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 2]))
    let values = [
      builder.weight("bn.mean", try Tensor(mean, shape: [2]), role: .state),
      builder.weight("bn.variance", try Tensor(variance, shape: [2]), role: .state),
    ]
    let normalization = try Normalization(
      statistics: .given, operation: .standardize(epsilon: epsilon), recovery: .none)
    builder.output(
      "y", try builder.append(.normalization(normalization), [x] + values, label: "bn")[0])
    return try builder.finish()
  }

  @Test(arguments: [-0.5, -0.001, .nan, .infinity] as [Float])
  func badRunningVariance(variance: Float) throws {
    let error = try #require(
      #expect(throws: KeelError.self) {
        try givenNormalization(mean: [0, 0], variance: [1, variance])
      })
    #expect(error.kind == .value)
    #expect(error.place == "bn, bn.variance")
    #expect(error.expected.contains("0.001"))
    #expect(error.found == "\(variance) in channel 1")
  }

  @Test(arguments: [.nan, .infinity, -.infinity] as [Float])
  func badRunningMean(mean: Float) throws {
    let error = #expect(throws: KeelError.self) {
      try givenNormalization(mean: [mean, 0], variance: [1, 1])
    }
    #expect(error?.kind == .value && error?.place == "bn, bn.mean")
    #expect(error?.found == "\(mean) in channel 0")
  }

  @Test func slightlyNegativeVarianceThatEpsilonMakesUpFor() throws {
    let graph = try givenNormalization(mean: [0, 0], variance: [0, -0.0005])
    let error = #expect(throws: KeelError.self) {
      try graph.replacingWeights(["bn.variance": Tensor([0, -1], shape: [2])])
    }
    #expect(error?.kind == .value && error?.found == "-1.0 in channel 1")
  }
}
