import KeelExecution
import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Class golden: a lecture's batch norm on the Float kernels, to its last printed digit.
@Suite struct BatchNormDemoTests {
  private func demoGraph() throws -> Graph {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 2, 2, 3]))
    let scale = builder.weight("scale", Tensor(repeating: 1, shape: [3]))
    let shift = builder.weight("shift", Tensor(zeros: [3]))
    let mean = builder.weight("mean", Tensor(zeros: [3]), role: .state)
    let variance = builder.weight("variance", Tensor(repeating: 1, shape: [3]), role: .state)
    let normalization = try Normalization(
      statistics: .current, operation: .standardize(epsilon: BatchNormDemo.epsilon))
    let results = try builder.append(.normalization(normalization), [x, scale, shift])
    let running = try builder.append(
      .runningStatistics(.momentum(BatchNormDemo.momentum)), [results[1], mean, variance])
    builder.output("y", results[0])
    builder.update("mean", running[0])
    builder.update("variance", running[1])
    return try builder.finish()
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func toTheLastPrintedDigit(seed: UInt64) throws {
    let training = try demoGraph()
    let plan = try Plan(
      training, inputShapes: ["x": BatchNormDemo.shape], options: PlanOptions(weights: .variable))
    let workspace = plan.makeWorkspace()
    // What rounding to Float adds to half a unit of the last printed digit.
    let rounding = 5e-7
    for batch in BatchNormDemo.batches {
      let x = Tensor(rounding: BatchNormDemo.data(batch, seed: seed))
      try workspace.setInput("x", .float32(x))
      try plan.run(workspace)
      let y = DoubleTensor(widening: try workspace.output("y").floats(at: "y")).channelStatistics
      expectClose(y.means, [0, 0, 0], within: 1e-6, "\(batch.name), seed \(seed)")
      let expected = batch.deviations.map {
        ($0 * $0 / ($0 * $0 + Double(BatchNormDemo.epsilon))).squareRoot()
      }
      expectClose(y.deviations, expected, within: 1e-6, "\(batch.name), seed \(seed)")
      expectClose(
        try workspace.weight("mean").elements.map(Double.init), batch.runningMeans,
        within: batch.rounding + rounding, "running mean after \(batch.name), seed \(seed)")
      expectClose(
        try workspace.weight("variance").elements.map { Double($0).squareRoot() },
        batch.runningDeviations, within: batch.rounding + rounding,
        "root of the running variance after \(batch.name), seed \(seed)")
    }
    let inference = try training.replacingWeights(workspace.weights).inferenceForm()
    for evaluation in BatchNormDemo.evaluation {
      let x = Tensor(
        rounding: BatchNormDemo.data(BatchNormDemo.batches[evaluation.batch], seed: seed))
      let results = try Plan(inference, inputShapes: ["x": x.shape])(["x": .float32(x)])
      let y = DoubleTensor(widening: try results["y"]!.floats(at: "y")).channelStatistics
      let tolerance = BatchNormDemo.evaluationTolerance
      expectClose(y.means, evaluation.means, within: tolerance, "seed \(seed)")
      expectClose(y.deviations, evaluation.deviations, within: tolerance, "seed \(seed)")
    }
  }
}
