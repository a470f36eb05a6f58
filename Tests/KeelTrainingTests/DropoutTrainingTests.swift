import KeelGraph
import KeelLayers
import KeelTensor
import KeelTraining
import Testing

/// The trainer feeds the seed of dropout: a new one each step, the same ones in each training.
@Suite struct DropoutTrainingTests {
  /// Wide enough for dropout to be worth several threads.
  private struct Net: Layer {
    let conv: Conv2d
    let slope = PReLU(24)
    let channels = Dropout2d(0.2)
    let units: MaxoutLinear
    let elements = Dropout(0.25)
    let linear: Linear

    init(seed: UInt64 = 1) {
      var source = RandomSource(seed: seed)
      conv = Conv2d(2, 24, kernel: 3, padding: 1, using: &source)
      units = MaxoutLinear(24, 32, pieces: 2, using: &source)
      linear = Linear(32, 3, using: &source)
    }

    func callAsFunction(_ x: Variable) -> Variable {
      let features = channels(slope(conv(x))).globalAveragePooled()
      return linear(elements(units(features)))
    }
  }

  private func trained(
    seed: UInt64, threads: Int = 1, epochs: Int = 3, rate: Double = 0.05
  ) throws -> (weights: [String: Tensor], losses: [Float]) {
    let graph = try Graph.trainingGraph(of: Net(), input: [.batch, 4, 4, 2])
    let data = TinyData(96)
    let trainer = try Trainer(
      graph, optimizer: SGD(learningRate: rate, momentum: 0.9), batchSize: 96, seed: seed,
      threads: threads)
    var losses: [Float] = []
    try trainer.fit(data.samples, labels: data.labels, epochs: epochs) { event in
      if case .step(let step) = event { losses.append(step.loss) }
    }
    return (trainer.weights, losses)
  }

  @Test func theSameBitsForAnyNumberOfThreads() throws {
    let first = try trained(seed: 1)
    for threads in [1, 2, 5] {
      let other = try trained(seed: 1, threads: threads)
      #expect(other.weights == first.weights && other.losses == first.losses)
    }
    #expect(try trained(seed: 2).losses != first.losses)
  }

  @Test func eachStepHasASeedOfItsOwn() throws {
    // The weights stay as they are and each step sees every sample: only the masks change the loss.
    let losses = try trained(seed: 1, epochs: 6, rate: 1e-12).losses
    for i in losses.indices {
      for j in 0..<i { #expect(abs(losses[i] - losses[j]) > 1e-4, "steps \(i) and \(j)") }
    }
  }

  @Test func aNetworkWithDropoutLearns() throws {
    let losses = try trained(seed: 1, epochs: 80, rate: 0.1).losses
    #expect(losses[79] < 0.6 * losses[0], "\(losses[0]) to \(losses[79])")
  }
}
