import KeelGraph
import KeelLayers
import KeelTensor
import KeelTestSupport
import KeelTraining
import Testing

/// Networks with each kind of state that a norm keeps, trained by plans and in Double.
@Suite struct NormTrainingTests {
  private struct Net: Layer {
    let conv: SpectralNorm<Conv2d>
    let norm: any Layer
    let linear: Linear

    init(_ norm: any Layer) {
      var source = RandomSource(seed: 21)
      let inner = Conv2d(2, 3, kernel: 3, padding: 1, using: &source)
      conv = SpectralNorm(inner, weight: inner.weight, using: &source)
      self.norm = norm
      linear = Linear(3, 3, using: &source)
    }

    func callAsFunction(_ x: Variable) -> Variable {
      linear(norm(conv(x)).relu().globalAveragePooled())
    }
  }

  static let norms: [(name: String, norm: any Layer)] = [
    ("cumulative batch", BatchNorm(3, momentum: nil)),
    ("ghost", GhostBatchNorm(3, shards: 2)), ("layer", LayerNorm([4, 4, 3])),
    ("instance", InstanceNorm(3, affine: true, tracksRunningStatistics: true)),
    ("group", GroupNorm(1, 3)), ("L2", L2Norm(affine: 3)),
    ("batch-instance", BatchInstanceNorm(3)),
    ("mixed", MixedNorm(3, sources: [.batch, .instance, .layer])),
  ]

  @Test(arguments: norms.indices)
  func weightsAndStateAsInDouble(_ index: Int) throws {
    let (name, norm) = Self.norms[index]
    let net = Net(norm)
    let graph = try Graph.trainingGraph(of: net, input: [.batch, 4, 4, 2])
    let data = TinyData(14)
    let optimizer = try SGD(learningRate: 0.1, momentum: 0.9)
    let trainer = try Trainer(graph, optimizer: optimizer, batchSize: 4, seed: 3)
    try trainer.fit(data.samples, labels: data.labels, epochs: 1)
    var reference = try ReferenceTraining(
      graph, optimizer: optimizer,
      batches: ShuffledBatches(count: 14, batchSize: 4, dropsLast: true, seed: 3))
    try reference.fit(data, epochs: 1)
    #expect(Set(trainer.weights.keys) == Set(reference.weights.keys))
    for (weight, expected) in reference.weights {
      let actual = try #require(trainer.weights[weight])
      expectClose(
        actual, expected, bound: 3 * Tolerance.reduction(length: 64),
        scale: max(1, expected.largestMagnitude), "\(name), \(weight)")
      // A bias before a norm that subtracts each channel's mean has gradient 0.
      if weight != "conv.layer.bias" {
        #expect(actual != graph.weight(named: weight)?.tensor, "\(name): \(weight) has not moved")
      }
    }
    if let count = trainer.weights["norm.batchCount"] { #expect(count.elements == [3, 3, 3]) }
    // What was trained runs for inference with its state.
    try net.load(trainer.weights)
    let inference = try Graph(tracing: net, input: [.batch, 4, 4, 2])
    #expect(inference.updates.isEmpty)
  }
}
