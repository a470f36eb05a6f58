import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Shards that share statistics are one batch.
@Suite struct SynchronizedBatchNormTests {
  /// Shards of 2 and 3 samples of different means, and all of them joined.
  private func shards(_ count: Int) throws -> (shards: [TensorValue], joined: TensorValue) {
    let shards = (0..<count).map {
      TensorValue.normal([2 + $0 % 2, 3, 4], mean: 3 * Double($0), seed: UInt64($0 + 50))
    }
    var elements: [Float] = []
    for shard in shards { elements += try shard.floats(at: "x").elements }
    return (shards, .float32(try Tensor(elements, shape: [elements.count / 12, 3, 4])))
  }

  private func synchronized(_ values: [TensorValue], groupSize: Int? = nil) -> NormCase {
    NormCase("synchronized", SynchronizedBatchNorm(4, groupSize: groupSize), values) {
      .concatenation($0($1), axis: 0)
    }
  }

  @Test(arguments: [1, 2, 3])
  func oneGroupIsTheJoinedBatch(_ count: Int) throws {
    let (shards, joined) = try shards(count)
    let tests = [
      synchronized(shards), NormCase("batch", BatchNorm(4), [joined]) { $0($1[0]) },
    ]
    let results = try tests.map { test in
      let graph = try test.graph(.training)
      return try graph.contracted("y", seed: 51)
        .differentiated(contractedName, withRespectTo: .named(test.differentiableNames(graph)))
        .reference(test.inputs)
    }
    expectClose(results[0].outputs["y"]!, results[1].outputs["y"]!, bound: 1e-12, "y")
    let gradients = (0..<count).flatMap {
      results[0].outputs[Graph.gradientName(NormCase.input($0))]!.elements
    }
    expectClose(
      gradients, results[1].outputs[Graph.gradientName("x")]!.elements, within: 1e-12, "dx")
    for name in ["scale", "shift"] {
      expectClose(
        results[0].outputs[Graph.gradientName("norm.\(name)")]!,
        results[1].outputs[Graph.gradientName(name)]!, bound: 1e-12, name)
    }
    for name in ["runningMean", "runningVariance"] {
      expectClose(
        results[0].updates["norm.\(name)"]!, results[1].updates[name]!, bound: 1e-12, name)
    }
  }

  @Test func groupsOfOneAreBatchesOfTheirOwn() throws {
    let (shards, _) = try shards(3)
    let test = synchronized(shards, groupSize: 1)
    let y = try test.graph(.training).reference(test.inputs).outputs["y"]!.elements
    let each = try shards.flatMap { shard in
      let batch = NormCase("batch", BatchNorm(4), [shard]) { $0($1[0]) }
      return try batch.graph(.training).reference(batch.inputs).outputs["y"]!.elements
    }
    expectClose(y, each, within: 1e-12)
  }

  @Test func theAverageOfLocalVariancesWouldBeWrong() throws {
    // Shards 0, 1 and 4, 5: local variances 0.25, together 4.25.
    let shards = try [[0, 1], [4, 5]].map { TensorValue.float32(try Tensor($0, shape: [2, 1])) }
    let norm = SynchronizedBatchNorm(1, momentum: 1, epsilon: 0)
    let test = NormCase("synchronized", norm, shards, randomizes: false) {
      .concatenation($0($1), axis: 0)
    }
    let results = try test.graph(.training).reference(test.inputs)
    expectClose(
      results.outputs["y"]!.elements, [-2.5, -1.5, 1.5, 2.5].map { $0 / 4.25.squareRoot() },
      within: 1e-12)
    expectClose(results.updates["norm.runningMean"]!.elements, [2.5], within: 1e-12)
    expectClose(results.updates["norm.runningVariance"]!.elements, [17 / 3.0], within: 1e-12)
  }

  /// What more samples per statistic are for: the variance of a batch's mean falls as 1/n.
  @Test func largerGroupsHaveSteadierMeans() throws {
    let channels = 400
    let values = (0..<4).map { TensorValue.normal([2, channels], mean: 0, seed: UInt64($0 + 60)) }
    for groupSize in [1, 2, 4] {
      // The running statistics follow the last group's alone.
      let norm = SynchronizedBatchNorm(channels, groupSize: groupSize, momentum: 1)
      let test = NormCase("synchronized", norm, values, randomizes: false) {
        .concatenation($0($1), axis: 0)
      }
      let means = try test.graph(.training).reference(test.inputs).updates["norm.runningMean"]!
      let variance = means.elements.reduce(0) { $0 + $1 * $1 } / Double(channels)
      // The variance of a sample variance of 400 is 2/400 of its square.
      let expected = 1 / Double(2 * groupSize)
      #expect(abs(variance / expected - 1) <= 0.3, "groups of \(groupSize): \(variance)")
    }
  }
}
