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
  let optimizer: any Optimizer
  let clip: Clip?
  let groups: [ParameterGroup]
  let batches: ShuffledBatches
  private let evaluator: ReferenceEvaluator
  private let trainable: [String]
  private(set) var weights: [String: DoubleTensor]
  private var slots: [String: [[Double]]] = [:]
  private(set) var losses: [Double] = []

  /// What clips gradients.
  enum Clip: Sendable {
    case value(Double)
    case norm(Double)
  }

  init(
    _ graph: Graph, optimizer: any Optimizer, batches: ShuffledBatches, clip: Clip? = nil,
    groups: [ParameterGroup] = []
  ) throws {
    self.optimizer = optimizer
    self.clip = clip
    self.groups = groups
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
    let gradients = clipped(
      trainable.map { results.outputs[Graph.gradientName($0)]!.elements }.enumerated()
        .map { group(trainable[$0])?.frozen == true ? [] : $1 })
    for (name, gradient) in zip(trainable, gradients) {
      let group = group(name)
      if group?.frozen == true { continue }
      let shape = weights[name]!.shape
      var weight = weights[name]!.elements
      var slots =
        slots[name] ?? optimizer.slotNames.map { _ in [Double](repeating: 0, count: weight.count) }
      optimizer.referenceStep(
        OptimizerStep(
          index: losses.count - 1, rate: rate * (group?.learningRateFactor ?? 1),
          weightDecay: group?.weightDecay ?? optimizer.weightDecay),
        weight: &weight, slots: &slots, gradient: gradient)
      weights[name] = try DoubleTensor(weight, shape: shape)
      self.slots[name] = slots
    }
    for (name, value) in results.updates where group(name)?.frozen != true {
      weights[name] = value
    }
  }

  private func group(_ name: String) -> ParameterGroup? { groups.first { $0.matches(name) } }

  private func clipped(_ gradients: [[Double]]) -> [[Double]] {
    switch clip {
    case .value(let limit): return gradients.map { $0.map { min(max($0, -limit), limit) } }
    case .norm(let limit):
      let total = gradients.joined().reduce(0) { $0 + $1 * $1 }.squareRoot()
      return gradients.map { $0.map { $0 * min(1, limit / (total + 1e-6)) } }
    case nil: return gradients
    }
  }
}
