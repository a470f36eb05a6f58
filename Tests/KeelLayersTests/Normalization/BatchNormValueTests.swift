import KeelExecution
import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Batch norm by hand, its modes against each other, and the catalogue's identities.
@Suite struct BatchNormValueTests {
  /// Channel 0: 1, 2, 3, 6 of mean 3, variance 3.5 and unbiased 14/3; channel 1: 0, 4, 0, 4 of mean 2,
  /// variance 4 and unbiased 16/3.
  static let x = try! Tensor([1, 0, 2, 4, 3, 0, 6, 4], shape: [4, 2])

  private func run(_ norm: BatchNorm, _ inputs: TensorValue...) throws -> Interpreter.Results {
    let test = NormCase.plain(norm, inputs)
    return try Interpreter(test.graph(.training)).run(test.inputs)
  }

  private func expectRunning(
    _ results: Interpreter.Results, mean: [Double], variance: [Double],
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    expectNumbers(
      results.updates["runningMean"]!, mean, "mean", sourceLocation: sourceLocation)
    expectNumbers(
      results.updates["runningVariance"]!, variance, "variance", sourceLocation: sourceLocation)
  }

  @Test func byHand() throws {
    let norm = BatchNorm(2, momentum: 0.25, epsilon: 0)
    norm.scale!.value = try Tensor([2, 1], shape: [2])
    norm.shift!.value = try Tensor([0, 0.5], shape: [2])
    let results = try run(norm, .float32(Self.x))
    let root = 3.5.squareRoot()
    expectNumbers(
      try results.outputs["y"]!.floats(at: "y"),
      [-4 / root, -0.5, -2 / root, 1.5, 0, -0.5, 6 / root, 1.5])
    // 0.75·old + 0.25·new, the unbiased variance.
    expectRunning(results, mean: [0.75, 0.5], variance: [0.75 + 14 / 12.0, 0.75 + 16 / 12.0])
    // Inference with the running mean 0 and variance 1: x·scale + shift.
    expectNumbers(try y(norm, Self.x, mode: .inference), [2, 0.5, 4, 4.5, 6, 0.5, 12, 4.5])
  }

  @Test func theDecayConventionIsTheSameUpdate() throws {
    let results = try run(BatchNorm(2, decay: 0.75), .float32(Self.x))
    expectRunning(results, mean: [0.75, 0.5], variance: [0.75 + 14 / 12.0, 0.75 + 16 / 12.0])
  }

  @Test func cumulativeIsTheAverageOverBatches() throws {
    let norm = BatchNorm(2, momentum: nil)
    var sums: (mean: [Double], variance: [Double]) = ([0, 0], [0, 0])
    for batch in 1...3 {
      let x = try TensorValue.normal([5, 2], seed: UInt64(batch)).floats(at: "x")
      let results = try run(norm, .float32(x))
      for (path, parameter) in norm.parameters {
        if let value = results.updates[path] { parameter.value = value }
      }
      let statistics = DoubleTensor(widening: x).channelStatistics
      for c in 0..<2 {
        sums.mean[c] += statistics.means[c]
        sums.variance[c] += statistics.deviations[c] * statistics.deviations[c] * 5 / 4
      }
      expectRunning(
        results, mean: sums.mean.map { $0 / Double(batch) },
        variance: sums.variance.map { $0 / Double(batch) })
      #expect(norm.batchCount!.value.elements == [Float(batch), Float(batch)])
    }
  }

  @Test func frozenIsInferenceThatTrainsItsAffine() throws {
    let norm = BatchNorm(2, frozen: true)
    randomizeParameters(of: norm, seed: 3)
    #expect(try y(norm, Self.x) == y(norm, Self.x, mode: .inference))
    let graph = try NormCase.plain(norm, [.float32(Self.x)]).graph(.training)
    #expect(graph.updates.isEmpty)
    #expect(graph.weights.filter { $0.role == .trainable }.map(\.name) == ["scale", "shift"])
  }

  @Test func withoutRunningStatisticsInferenceIsTraining() throws {
    let norm = BatchNorm(2, tracksRunningStatistics: false)
    #expect(try y(norm, Self.x, mode: .inference) == y(norm, Self.x))
    #expect(norm.runningMean == nil && norm.runningVariance == nil && norm.batchCount == nil)
  }

  /// γ = s and β = m restore the input.
  @Test func theRightAffineRestoresTheInput() throws {
    let norm = BatchNorm(2, epsilon: 1e-3)
    norm.scale!.value = try Tensor(
      [Float(3.501).squareRoot(), Float(4.001).squareRoot()], shape: [2])
    norm.shift!.value = try Tensor([3, 2], shape: [2])
    expectNumbers(try y(norm, Self.x), Self.x.elements.map(Double.init))
  }

  /// A bias before a batch norm changes nothing, and a positive scale before it nothing but for ε.
  @Test func biasAndScaleBeforeItAreUseless() throws {
    let x = try TensorValue.normal([6, 3], seed: 9).floats(at: "x")
    let norm = BatchNorm(3, epsilon: 1e-12)
    let moved = Tensor(uninitialized: x.shape) { out in
      for i in out.indices { out[i] = 3 * x[flat: i] + Float(i % 3) }
    }
    expectNumbers(try y(norm, moved), try y(norm, x).elements.map(Double.init))
    var source = RandomSource(seed: 10)
    let linear = Linear(3, 3, using: &source)
    let graph = try Graph(
      tracing: Sequential(linear, BatchNorm(3)), input: [6, 3], mode: .training)
    let gradient = Graph.gradientName("0.bias")
    let outputs = try graph.contracted("y", seed: 11)
      .differentiated(contractedName, withRespectTo: .named(["0.bias", "0.weight"]))
      .reference(["x": .float32(x)]).outputs
    #expect(outputs[gradient]!.largestMagnitude <= 1e-13)
    #expect(outputs[Graph.gradientName("0.weight")]!.largestMagnitude > 1e-2)
  }

  /// Weights are how often an element counts.
  @Test func weightsAreFrequencies() throws {
    let x = try TensorValue.normal([3, 2, 2], seed: 12).floats(at: "x")
    // Sample 1 twice, sample 2 never.
    var repeated: [Float] = []
    for n in [0, 1, 1] { repeated += x.elements[4 * n..<4 * n + 4] }
    let weighted = try run(
      BatchNorm(2), .float32(x), .float32(Tensor([1, 2, 0], shape: [3])))
    let plain = try run(BatchNorm(2), .float32(Tensor(repeated, shape: [3, 2, 2])))
    let (a, b) = try (weighted.outputs["y"]!.floats(at: "y"), plain.outputs["y"]!.floats(at: "y"))
    expectNumbers(
      try Tensor(Array(a.elements.prefix(8)), shape: [8]), b.elements.prefix(8).map(Double.init))
    for name in ["runningMean", "runningVariance"] {
      expectNumbers(weighted.updates[name]!, plain.updates[name]!.elements.map(Double.init))
    }
  }

  @Test(arguments: [[1, 0, 0, 0], [0.5, 0, 0.5, 0], [0.25, 0, 0.5, 0]] as [[Float]])
  func weightsOfOneElementLeaveTheRunningStatisticsAlone(_ weights: [Float]) throws {
    let results = try run(
      BatchNorm(2), .float32(Self.x), .float32(Tensor(weights, shape: [4])))
    #expect(results.updates["runningMean"]!.elements == [0, 0])
    #expect(results.updates["runningVariance"]!.elements == [1, 1])
    #expect(try results.outputs["y"]!.floats(at: "y").elements.allSatisfy(\.isFinite))
  }

  @Test func weightsOfZeroGiveTheShift() throws {
    let none = NormCase(
      "weights", BatchNorm(2), [.normal([4, 2]), .float32(Tensor(zeros: [4]))],
      randomizes: false
    ) { $0($1[0], weights: $1[1]) }
    let graph = try none.graph(.training)
    let run = try Interpreter(graph).run(none.inputs)
    #expect(try run.outputs["y"]!.floats(at: "y").elements.allSatisfy { $0 == 0 })
    #expect(run.updates["runningVariance"]!.elements == [1, 1])
    #expect(try graph.reference(none.inputs).outputs["y"]!.elements.allSatisfy { $0 == 0 })
  }

  /// Class golden: a lecture's batches and running statistics, to the last printed digit.
  @Test func aLecturesRunningStatistics() throws {
    let norm = BatchNorm(3)
    for batch in BatchNormDemo.batches {
      let x = Tensor(rounding: BatchNormDemo.data(batch, seed: 4))
      let results = try run(norm, .float32(x))
      norm.runningMean!.value = results.updates["runningMean"]!
      norm.runningVariance!.value = results.updates["runningVariance"]!
      let rounding = batch.rounding + 5e-7
      expectNumbers(norm.runningMean!.value, batch.runningMeans, within: rounding)
      expectClose(
        norm.runningVariance!.value.elements.map { Double($0).squareRoot() },
        batch.runningDeviations, within: rounding)
    }
    for evaluation in BatchNormDemo.evaluation {
      let x = Tensor(
        rounding: BatchNormDemo.data(BatchNormDemo.batches[evaluation.batch], seed: 4))
      let found = DoubleTensor(widening: try y(norm, x, mode: .inference)).channelStatistics
      expectClose(found.means, evaluation.means, within: BatchNormDemo.evaluationTolerance)
      expectClose(
        found.deviations, evaluation.deviations, within: BatchNormDemo.evaluationTolerance)
    }
  }

  /// A lecture's shapes: 20 images of 35×45 and 100 channels; each statistic is over 31,500 values.
  @Test func aLecturesShapes() throws {
    let norm = BatchNorm(100)
    for (_, parameter) in norm.parameters { #expect(parameter.shape == [100]) }
    #expect(norm.parameters.count == 4 && norm.trainableCount == 200)
    let results = try run(norm, .normal([20, 35, 45, 100]))
    #expect(results.outputs["y"]!.shape == [20, 35, 45, 100])
    let trace = Trace(model: norm, mode: .training)
    let moments = trace.input("x", ValueType([20, 35, 45, 100])).moments(.batch)
    trace.output("count", moments.momentsRow(MomentsLayout.count))
    let counts = try Interpreter(trace.finish()).run(["x": .normal([20, 35, 45, 100])])
      .outputs["count"]!.floats(at: "count")
    #expect(counts.elements == Array(repeating: 31_500, count: 100))
  }
}

extension NormCase {
  /// A batch norm as it is, with its weights if there is a second input.
  static func plain(_ norm: BatchNorm, _ values: [TensorValue]) -> NormCase {
    NormCase("batch", norm, values, randomizes: false) { norm, inputs in
      inputs.count == 1 ? norm(inputs[0]) : norm(inputs[0], weights: inputs[1])
    }
  }
}
