import BenchmarkHarness
import Foundation
import Keel

/// A training step of ResNet-18 with the stem for images of 32×32 (3×3, no pooling): batch norms read their statistics from a pass of their own,
/// or from the convolutions before them.
struct TrainingSteps: Encodable {
  let batch: Int
  let threads: Int
  let passMinMs: Double
  let passMedianMs: Double
  let gatheredMinMs: Double
  let gatheredMedianMs: Double
  /// The time with gathered statistics over that with a pass.
  let gatheredOverPass: Ratio

  /// Checks that both give the same loss and times them.
  static func measure(batch: Int, threads: Int, sampling: Sampling) throws -> TrainingSteps {
    var random = RandomSource(seed: 1)
    let stages = [(64, 1), (128, 2), (256, 2), (512, 2)].map {
      ResNet.Stage(width: $0.0, blocks: 2, stride: $0.1)
    }
    let model = ResNet(
      inputChannels: 3, stem: .small, stages: stages, classes: 10, using: &random)
    let traced = try Graph.trainingGraph(of: model, input: [.batch, 32, 32, 3]).fused().graph
    let names = traced.weights.filter { $0.role == .trainable }.map(\.name)
    let pass = try traced.differentiated("loss", withRespectTo: .named(names))
    let images = Tensor(uniform: [batch, 32, 32, 3], from: -1, to: 1, using: &random)
    let labels = try IndexTensor((0..<batch).map { Int64($0 % 10) }, shape: [batch])
    func prepared(_ graph: Graph) throws -> (plan: Plan, workspace: Workspace) {
      let plan = try Plan(
        graph, inputShapes: ["x": images.shape, "labels": labels.shape],
        options: PlanOptions(threads: threads, weights: .variable))
      let workspace = plan.makeWorkspace()
      try workspace.setInput("x", .float32(images))
      try workspace.setInput("labels", .int64(labels))
      return (plan, workspace)
    }
    let (plain, gathered) = (try prepared(pass), try prepared(pass.gatheringMoments()))
    func loss(_ prepared: (plan: Plan, workspace: Workspace)) throws -> Double {
      Double(try prepared.workspace.output("loss").floats(at: "loss")[flat: 0])
    }
    try plain.plan.run(plain.workspace)
    try gathered.plan.run(gathered.workspace)
    let (one, other) = (try loss(plain), try loss(gathered))
    guard abs(one - other) <= 1e-4 * abs(one) else {
      throw Mismatch(description: "loss of ResNet-18: \(one), with gathered statistics \(other)")
    }
    let comparison = try compare(
      [
        Contender(
          "pass", consume: { try loss(plain) }, body: { try plain.plan.run(plain.workspace) }),
        Contender(
          "gathered", consume: { try loss(gathered) },
          body: { try gathered.plan.run(gathered.workspace) }),
      ], sampling: sampling)
    let (a, b) = (comparison["pass"]!, comparison["gathered"]!)
    return TrainingSteps(
      batch: batch, threads: threads, passMinMs: a.minimum * 1e3, passMedianMs: a.median * 1e3,
      gatheredMinMs: b.minimum * 1e3, gatheredMedianMs: b.median * 1e3,
      gatheredOverPass: comparison.ratio(of: "gathered", over: "pass")!)
  }

  var text: String {
    func number(_ value: Double) -> String { String(format: "%.2f", value) }
    return """
      ResNet-18 on 32x32, training step, batch \(batch), \(threads) thread(s)
      statistics by a pass           min \(number(passMinMs)) ms, median \(number(passMedianMs))
      gathered by the convolutions   min \(number(gatheredMinMs)) ms, median \(number(gatheredMedianMs))
      gathered over pass             \(String(format: "%.3f", gatheredOverPass.ofMinima)) of minima, \
      \(String(format: "%.3f", gatheredOverPass.pairedMedian)) median of pairs
      """
  }
}
