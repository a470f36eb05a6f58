import KeelGraph
import KeelTensor
import KeelTestSupport
import KeelTraining
import Testing

/// The trainer against training in Double, from the definitions.
@Suite struct TrainerReferenceTests {
  static let optimizers: [any Optimizer] = [
    try! SGD(learningRate: 0.1),
    try! SGD(learningRate: 0.1, weightDecay: 0.1),
    try! SGD(learningRate: 0.1, momentum: 0.9),
    try! SGD(learningRate: 0.1, momentum: 0.9, weightDecay: 0.1),
    try! SGD(learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.1),
    try! SGD(
      learningRate: StepSchedule(0.2, factor: 0.5, every: 2), momentum: 0.5, nesterov: true),
    try! AdamW(learningRate: 0.01, epsilon: 0.01, weightDecay: 0.1),
    try! AdamW(learningRate: 0.01, epsilon: 0.01, weightDecay: 0.1, decay: .coupled),
    try! AdamW(
      learningRate: StepSchedule(0.02, factor: 0.5, every: 2), beta1: 0.5, beta2: 0.9,
      epsilon: 0.01),
    try! RMSProp(learningRate: 0.01, epsilon: 0.1),
    try! RMSProp(learningRate: 0.01, epsilon: 0.1, centered: true, momentum: 0.9),
    try! RMSProp(learningRate: 0.01, epsilon: 0.1, momentum: 0.5, weightDecay: 0.1),
  ]

  /// One step, three, and six in two epochs; 14 samples leave two out of each epoch.
  ///
  /// Where gradients are divided by their size, ε is large enough not to make rounding errors of a
  /// gradient that is 0 (a bias before a batch norm) into steps as large as any.
  @Test(arguments: optimizers.indices, [(4, 1), (14, 1), (14, 2)])
  func weightsAndLosses(_ index: Int, _ size: (count: Int, epochs: Int)) throws {
    let optimizer = Self.optimizers[index]
    let data = TinyData(size.count)
    let graph = try TinyNet().trainingGraph()
    let trainer = try Trainer(graph, optimizer: optimizer, batchSize: 4, seed: 3)
    var losses: [Float] = []
    try trainer.fit(data.samples, labels: data.labels, epochs: size.epochs) { event in
      if case .step(let step) = event { losses.append(step.loss) }
    }
    var reference = try ReferenceTraining(
      graph, optimizer: optimizer,
      batches: ShuffledBatches(count: size.count, batchSize: 4, dropsLast: true, seed: 3))
    try reference.fit(data, epochs: size.epochs)

    // A step's gradients are sums over 4 images of 16 pixels; errors of the steps add up.
    let steps = size.epochs * (size.count / 4)
    #expect(losses.count == steps)
    let bound = Double(steps) * Tolerance.reduction(length: 4 * 16)
    #expect(Set(trainer.weights.keys) == Set(reference.weights.keys))
    for (name, expected) in reference.weights {
      let actual = try #require(trainer.weights[name])
      expectClose(actual, expected, bound: bound, scale: max(1, expected.largestMagnitude), name)
      // A bias before a batch norm has gradient 0.
      if name != "conv.bias" {
        #expect(actual != graph.weight(named: name)?.tensor, "\(name) has not moved")
      }
    }
    for (actual, expected) in zip(losses, reference.losses) {
      #expect(abs(Double(actual) - expected) <= bound * max(1, expected))
    }
  }

  /// A second call goes on: with the optimizer's slots, and with its count of steps, which corrects biases.
  @Test func aSecondCallGoesOn() throws {
    let optimizer = try AdamW(learningRate: 0.01, beta2: 0.9, epsilon: 0.01)
    let data = TinyData(14)
    let graph = try TinyNet().trainingGraph()
    let trainer = try Trainer(graph, optimizer: optimizer, batchSize: 4, seed: 3)
    var reference = try ReferenceTraining(
      graph, optimizer: optimizer,
      batches: ShuffledBatches(count: 14, batchSize: 4, dropsLast: true, seed: 3))
    for _ in 0..<2 {
      try trainer.fit(data.samples, labels: data.labels, epochs: 1)
      try reference.fit(data, epochs: 1)
    }
    for (name, expected) in reference.weights {
      expectClose(
        trainer.weights[name]!, expected, bound: 6 * Tolerance.reduction(length: 64),
        scale: max(1, expected.largestMagnitude), name)
    }
  }

  /// Momentum, Nesterov's form and decay all matter: no two optimizers give the same weights.
  @Test func optimizersDiffer() throws {
    let data = TinyData(14)
    var results: Set<Tensor> = []
    for optimizer in Self.optimizers {
      let trainer = try Trainer(
        TinyNet().trainingGraph(), optimizer: optimizer, batchSize: 4, seed: 3)
      try trainer.fit(data.samples, labels: data.labels, epochs: 1)
      results.insert(trainer.weights["linear.weight"]!)
    }
    #expect(results.count == Self.optimizers.count)
  }

  /// A rate of 0 leaves weights alone, not running statistics.
  @Test func runningStatisticsMoveByThemselves() throws {
    let data = TinyData(8)
    let graph = try TinyNet().trainingGraph()
    let trainer = try Trainer(graph, optimizer: SGD(learningRate: 0), batchSize: 8)
    let before = trainer.weights
    #expect(before == Dictionary(uniqueKeysWithValues: graph.weights.map { ($0.name, $0.tensor) }))
    try trainer.fit(data.samples, labels: data.labels, epochs: 3)
    var reference = try ReferenceTraining(
      graph, optimizer: trainer.optimizer, batches: ShuffledBatches(count: 8, batchSize: 8, seed: 0)
    )
    try reference.fit(data, epochs: 3)
    for weight in graph.weights {
      let after = try #require(trainer.weights[weight.name])
      #expect((after == before[weight.name]) == (weight.role == .trainable), "\(weight.name)")
      if weight.role == .state {
        expectClose(
          after, reference.weights[weight.name]!, bound: 3 * Tolerance.normalization(rows: 128),
          weight.name)
      }
    }
    #expect(graph.weights.count { $0.role == .state } == 2)
  }

  /// A sample that is in no full batch is not read; one that is in a batch is.
  @Test func theLastBatchIsLeftOut() throws {
    let data = TinyData(14)
    let order = try ShuffledBatches(count: 14, batchSize: 4, dropsLast: true, seed: 3)
      .batches(epoch: 0).flatMap { $0 }
    let leftOut = Set(0..<14).subtracting(order)
    #expect(leftOut.count == 2)
    func fit(breaking sample: Int) throws -> [String: Tensor] {
      let trainer = try Trainer(
        TinyNet().trainingGraph(), optimizer: SGD(learningRate: 0.1), batchSize: 4, seed: 3)
      var samples = data.samples
      for i in 0..<32 { samples[flat: sample * 32 + i] = .nan }
      try trainer.fit(samples, labels: data.labels, epochs: 1)
      return trainer.weights
    }
    for sample in leftOut {
      #expect(try fit(breaking: sample).values.allSatisfy { $0.elements.allSatisfy(\.isFinite) })
    }
    let error = #expect(throws: KeelError.self) { try fit(breaking: order[9]) }
    #expect(error?.kind == .numerical)
    #expect(error?.place == "training step 2")
  }
}
