import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import KeelTraining

/// A network small enough for the Double reference, with every kind of weight: convolution, batch norm,
/// linear.
struct TinyNet: Layer {
  let conv: Conv2d
  let bn = BatchNorm(3)
  let linear: Linear

  init(seed: UInt64 = 1) {
    var source = RandomSource(seed: seed)
    conv = Conv2d(2, 3, kernel: 3, padding: 1, using: &source)
    linear = Linear(3, 3, using: &source)
  }

  func callAsFunction(_ x: Variable) -> Variable {
    linear(bn(conv(x)).relu().globalAveragePooled())
  }

  /// Samples batch×4×4×2, labels of three classes.
  func trainingGraph() throws -> Graph {
    try Graph.trainingGraph(of: self, input: [.batch, 4, 4, 2])
  }
}

/// Samples for `TinyNet` with labels that can be learned: the class is in the mean of the channels.
struct TinyData {
  let samples: Tensor
  let labels: IndexTensor

  init(_ count: Int, seed: UInt64 = 7) {
    var source = TensorSource(seed: seed)
    let labels = source.labels(count, classes: 3)
    var samples = source.normal([count, 4, 4, 2], deviation: 0.5)
    for i in 0..<samples.count {
      switch (labels[flat: i / 32], i % 2) {
      case (1, 0), (2, 1): samples[flat: i] += 1.5
      default: break
      }
    }
    self.samples = samples
    self.labels = labels
  }
}

/// Training as its definition says, in Double, on the graph as it was traced: neither fused nor planned.
struct ReferenceTraining {
  let optimizer: SGD
  let batches: ShuffledBatches
  private let evaluator: ReferenceEvaluator
  private let trainable: [String]
  private(set) var weights: [String: DoubleTensor]
  private var velocities: [String: [Double]] = [:]
  private(set) var losses: [Double] = []

  init(_ graph: Graph, optimizer: SGD, batches: ShuffledBatches) throws {
    self.optimizer = optimizer
    self.batches = batches
    let graph = try graph.differentiated()
    evaluator = ReferenceEvaluator(graph)
    trainable = graph.weights.filter { $0.role == .trainable }.map(\.name)
    weights = Dictionary(
      uniqueKeysWithValues: graph.weights.map { ($0.name, DoubleTensor(widening: $0.tensor)) })
  }

  /// Trains on data of 4×4×2 samples.
  mutating func fit(_ data: TinyData, epochs: Int) throws {
    let total = epochs * batches.batchCount
    for epoch in 0..<epochs {
      for batch in batches.batches(epoch: epoch) {
        let x = DoubleTensor(uninitialized: [batch.count, 4, 4, 2]) { out in
          for i in out.indices { out[i] = Double(data.samples[flat: batch[i / 32] * 32 + i % 32]) }
        }
        let labels = IndexTensor(uninitialized: [batch.count]) { out in
          for i in out.indices { out[i] = data.labels[flat: batch[i]] }
        }
        try step(x, labels, rate: optimizer.learningRate.rate(atStep: losses.count, of: total))
      }
    }
  }

  private mutating func step(_ x: DoubleTensor, _ labels: IndexTensor, rate: Double) throws {
    let results = try evaluator.run(["x": .real(x), "labels": .int64(labels)], weights: weights)
    losses.append(results.outputs["loss"]![flat: 0])
    for name in trainable {
      let shape = weights[name]!.shape
      var weight = weights[name]!.elements
      var velocity = velocities[name] ?? [Double](repeating: 0, count: weight.count)
      optimizer.referenceStep(
        weight: &weight, velocity: &velocity,
        gradient: results.outputs[Graph.gradientName(name)]!.elements, rate: rate)
      weights[name] = try DoubleTensor(weight, shape: shape)
      velocities[name] = velocity
    }
    weights.merge(results.updates) { $1 }
  }
}
