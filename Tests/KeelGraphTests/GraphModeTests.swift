import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct GraphModeTests {
  /// Two batch norms, the second with residual and ReLU.
  static func training(updates: Bool = true) throws -> Graph {
    var source = TensorSource(seed: 41)
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 3]))
    var value = x
    for (name, epilogue) in [
      ("bn1", Epilogue()), ("bn2", Epilogue(hasResidual: true, activation: .relu)),
    ] {
      let operands =
        [
          value, builder.weight("\(name).scale", source.normal([3])),
          builder.weight("\(name).shift", source.normal([3])),
        ] + (epilogue.hasResidual ? [x] : [])
      let mean = builder.weight("\(name).mean", source.normal([3]), role: .state)
      let variance = builder.weight(
        "\(name).variance", source.uniform([3], from: 0.5, to: 2), role: .state)
      let results = try builder.append(
        .normalization(Normalization(statistics: .current, epilogue: epilogue)), operands,
        label: name)
      if updates {
        let running = try builder.append(
          .runningStatistics(.momentum(0.1)), [results[1], mean, variance], label: name)
        builder.update("\(name).mean", running[0])
        builder.update("\(name).variance", running[1])
      }
      value = results[0]
    }
    builder.output("y", value)
    return try builder.finish()
  }

  static func run(_ graph: Graph) throws -> ReferenceResults {
    var source = TensorSource(seed: 42)
    let x = DoubleTensor(widening: source.normal([5, 3]))
    return try ReferenceEvaluator(graph).run(["x": .real(x)])
  }

  private func statistics(_ graph: Graph) -> [String: Normalization.Statistics] {
    var result: [String: Normalization.Statistics] = [:]
    for node in graph.nodes {
      if case .normalization(let normalization) = node.primitive {
        result[node.label] = normalization.statistics
      }
    }
    return result
  }

  @Test func inferenceFormUsesTheRunningStatistics() throws {
    let training = try Self.training()
    let inference = try training.inferenceForm()
    #expect(statistics(inference) == ["bn1": .given, "bn2": .given])
    #expect(inference.updates.isEmpty)
    #expect(!inference.nodes.contains { $0.primitive.name == "running statistics" })
    #expect(inference.weights.map(\.name) == training.weights.map(\.name))
    // The formula, with the stored statistics.
    var source = TensorSource(seed: 42)
    let x = DoubleTensor(widening: source.normal([5, 3]))
    func weight(_ name: String, _ c: Int) -> Double {
      Double(inference.weight(named: name)!.tensor[flat: c])
    }
    let expected = x.elements.enumerated().map { index, x in
      let c = index % 3
      var value = x
      for name in ["bn1", "bn2"] {
        let root = (weight("\(name).variance", c) + Double(Float(1e-5))).squareRoot()
        value =
          weight("\(name).scale", c) * (value - weight("\(name).mean", c)) / root
          + weight("\(name).shift", c)
      }
      return max(value + x, 0)
    }
    let y = try #require(try Self.run(inference).outputs["y"])
    expectClose(
      y, try DoubleTensor(expected, shape: [5, 3]), bound: Tolerance.double, "seeds 41, 42")
  }

  @Test func roundTrip() throws {
    let training = try Self.training()
    let again = try training.inferenceForm().trainingForm(momentum: 0.1)
    #expect(statistics(again) == ["bn1": .current, "bn2": .current])
    let (expected, found) = (try Self.run(training), try Self.run(again))
    #expect(found.outputs == expected.outputs)
    #expect(found.updates == expected.updates)
    #expect(expected.updates.count == 4)
    #expect(again.weights.map(\.name) == training.weights.map(\.name))
    #expect(again.weights.map(\.role) == training.weights.map(\.role))
    let inference = try training.inferenceForm()
    #expect(try Self.run(again.inferenceForm()).outputs == Self.run(inference).outputs)
  }

  @Test func frozenBatchNormsStay() throws {
    let graph = try Self.training().inferenceForm().trainingForm(frozen: ["bn1"])
    #expect(statistics(graph) == ["bn1": .given, "bn2": .current])
    #expect(graph.updates.map(\.weight).sorted() == ["bn2.mean", "bn2.variance"])
  }

  @Test func normsWithoutRunningStatisticsStay() throws {
    let graph = try Self.training(updates: false)
    let form = try graph.inferenceForm()
    #expect(form.nodes.map(\.primitive) == graph.nodes.map(\.primitive))
    #expect(try Self.run(form).outputs == Self.run(graph).outputs)
  }

  @Test func momentumIsTheWeightOfTheNewValue() throws {
    let inference = try Self.training().inferenceForm()
    let old = try #require(inference.weight(named: "bn1.mean")).tensor
    let none = try Self.run(inference.trainingForm(momentum: 0)).updates
    #expect(none["bn1.mean"] == DoubleTensor(widening: old))
    let all = try Self.run(inference.trainingForm(momentum: 1)).updates
    var source = TensorSource(seed: 42)
    let means = DoubleTensor(widening: source.normal([5, 3])).channelStatistics.means
    expectClose(try #require(all["bn1.mean"]).elements, means, within: 1e-12)
  }

  // MARK: Errors

  @Test func trainingSeesOneValuePerChannel() throws {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([1, 2]))
    let mean = builder.weight("mean", Tensor(zeros: [2]))
    let variance = builder.weight("variance", Tensor(repeating: 1, shape: [2]))
    let normalization = try Normalization(statistics: .given, recovery: .none)
    builder.output(
      "y",
      try builder.append(.normalization(normalization), [x, mean, variance], label: "stage1.bn")[0])
    let graph = try builder.finish()
    let error = #expect(throws: KeelError.self) { try graph.trainingForm() }
    #expect(error?.kind == .shape && error?.place == "stage1.bn")
  }

  @Test func gradientsComeAfterTheForm() throws {
    let training = try Self.training().differentiatedCrossEntropy()
    let toInference = #expect(throws: KeelError.self) { try training.inferenceForm() }
    #expect(toInference?.kind == .graph)
    let inference = try Self.training().inferenceForm().differentiatedCrossEntropy()
    let toTraining = #expect(throws: KeelError.self) { try inference.trainingForm() }
    #expect(toTraining?.kind == .graph && toTraining?.place == "bn2")
    #expect(throws: Never.self) { try inference.trainingForm(frozen: ["bn1", "bn2"]) }
  }
}

extension Graph {
  /// The gradient of the cross-entropy of y.
  fileprivate func differentiatedCrossEntropy() throws -> Graph {
    var builder = GraphBuilder(self)
    let y = try output(named: "y").value
    let labels = builder.input("labels", ValueType(.int64, [.batch]))
    builder.output("loss", try builder.append(.loss(Loss(.crossEntropy())), [y, labels])[0])
    return try builder.finish().differentiated()
  }
}
