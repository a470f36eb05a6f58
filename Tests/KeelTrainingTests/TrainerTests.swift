import KeelData
import KeelExecution
import KeelGraph
import KeelLayers
import KeelTensor
import KeelTestSupport
import KeelTraining
import Testing

@Suite struct TrainerTests {
  /// Weights after an epoch on shifted digits; the network is large enough for two threads to be used.
  private func digits(
    seed: UInt64, threads: Int,
    optimizer: any Optimizer = try! SGD(
      learningRate: 0.05, momentum: 0.9, nesterov: true, weightDecay: 5e-4),
    clipping: GradientClipping? = nil
  ) throws -> [String: Tensor] {
    var source = RandomSource(seed: 5)
    let net = DigitsResNet(using: &source)
    let trainer = try Trainer(
      Graph.trainingGraph(of: net, input: [.batch, 8, 8, 1]),
      optimizer: optimizer, batchSize: 32, seed: seed, clipping: clipping, threads: threads)
    let data = Digits.splits.train.subset(0..<100)
    try trainer.fit(
      data.images, labels: data.labels, epochs: 2, augmentation: RandomShift(pixels: 1))
    return trainer.weights
  }

  @Test func theSameBitsForAnyNumberOfThreads() throws {
    let weights = try digits(seed: 1, threads: 1)
    #expect(try digits(seed: 1, threads: 1) == weights)
    #expect(try digits(seed: 1, threads: 2) == weights)
    #expect(try digits(seed: 1, threads: 5) == weights)
    let other = try digits(seed: 2, threads: 2)
    #expect(weights.allSatisfy { other[$0.key] != $0.value })
  }

  @Test func theSameBitsWithAClippedNorm() throws {
    let optimizer = try AdamW(learningRate: 0.01)
    func weights(threads: Int, limit: Double) throws -> [String: Tensor] {
      try digits(seed: 1, threads: threads, optimizer: optimizer, clipping: .norm(limit))
    }
    let one = try weights(threads: 1, limit: 0.1)
    #expect(try weights(threads: 2, limit: 0.1) == one)
    #expect(try weights(threads: 5, limit: 0.1) == one)
    #expect(try weights(threads: 1, limit: 0.001) != one)
  }

  @Test(
    arguments: [
      try! AdamW(learningRate: 0.03), try! RMSProp(learningRate: 0.01),
      try! RMSProp(learningRate: 0.003, centered: true, momentum: 0.5),
    ] as [any Optimizer])
  func theLossFallsWith(_ optimizer: any Optimizer) throws {
    let data = TinyData(64)
    let trainer = try Trainer(TinyNet().trainingGraph(), optimizer: optimizer, batchSize: 16)
    var means: [Double] = []
    try trainer.fit(data.samples, labels: data.labels, epochs: 30) { event in
      if case .epoch(let epoch) = event { means.append(epoch.meanLoss) }
    }
    #expect(means[29] <= 0.3 * means[0], "\(means[0]) to \(means[29])")
  }

  @Test func theLossFalls() throws {
    let data = TinyData(64)
    let net = TinyNet()
    let trainer = try Trainer(
      net.trainingGraph(), optimizer: SGD(learningRate: 0.1, momentum: 0.9), batchSize: 16)
    var means: [Double] = []
    try trainer.fit(data.samples, labels: data.labels, epochs: 30) { event in
      if case .epoch(let epoch) = event { means.append(epoch.meanLoss) }
    }
    #expect(means.count == 30)
    #expect(means[29] <= 0.1 * means[0], "\(means[0]) to \(means[29])")
    // What was learned is in the weights, and holds for other samples.
    try net.load(trainer.weights)
    let unseen = TinyData(60, seed: 8)
    let logits = try Graph(tracing: net, input: [.batch, 4, 4, 2]).run(inBatches: unseen.samples)
    #expect(try Metrics.accuracy(logits, labels: unseen.labels) >= 0.95)
  }

  @Test func events() throws {
    let data = TinyData(14)
    let schedule = try CosineSchedule(0.1, final: 0.01, warmUp: 2)
    let trainer = try Trainer(
      TinyNet().trainingGraph(), optimizer: SGD(learningRate: schedule), batchSize: 4)
    var seen: [TrainingEvent] = []
    try trainer.fit(data.samples, labels: data.labels, epochs: 2) { seen.append($0) }
    // Three steps and the end of an epoch, twice.
    #expect(seen.count == 8)
    var losses: [Float] = []
    for (position, event) in seen.enumerated() {
      switch event {
      case .step(let step):
        #expect(position % 4 != 3)
        #expect(step.index == position - position / 4)
        #expect(step.count == 6)
        #expect(step.epoch == position / 4)
        #expect(step.loss > 0)
        #expect(step.learningRate == schedule.rate(atStep: step.index, of: 6))
        losses.append(step.loss)
      case .epoch(let epoch):
        #expect(position % 4 == 3)
        #expect(epoch.index == position / 4)
        #expect(epoch.count == 2)
        let mean = losses.suffix(3).reduce(0) { $0 + Double($1) } / 3
        #expect(abs(epoch.meanLoss - mean) <= 1e-12)
      }
    }
  }

  @Test func noEpochs() throws {
    let data = TinyData(8)
    let trainer = try Trainer(
      TinyNet().trainingGraph(), optimizer: SGD(learningRate: 0.1), batchSize: 4)
    let before = trainer.weights
    var count = 0
    try trainer.fit(data.samples, labels: data.labels, epochs: 0) { _ in count += 1 }
    #expect(count == 0)
    #expect(trainer.weights == before)
  }

  struct Stop: Error, Equatable { let step: Int }

  @Test func aCallbackStopsTheTraining() throws {
    let data = TinyData(14)
    func trainer() throws -> Trainer {
      try Trainer(
        TinyNet().trainingGraph(), optimizer: SGD(learningRate: 0.1, momentum: 0.9), batchSize: 4)
    }
    let stopped = try trainer()
    var count = 0
    #expect(throws: Stop(step: 1)) {
      try stopped.fit(data.samples, labels: data.labels, epochs: 5) { event in
        count += 1
        if case .step(let step) = event, step.index == 1 { throw Stop(step: step.index) }
      }
    }
    #expect(count == 2)
    // The step that was reported is done, no further one.
    let whole = try trainer()
    var weights: [String: Tensor] = [:]
    try whole.fit(data.samples, labels: data.labels, epochs: 1) { event in
      if case .step(let step) = event, step.index == 1 { weights = whole.weights }
    }
    #expect(stopped.weights == weights)
    #expect(whole.weights != weights)
    // The end of an epoch is a place to stop, too, and a stopped trainer can go on.
    #expect(throws: Stop(step: -1)) {
      try stopped.fit(data.samples, labels: data.labels, epochs: 1) { event in
        if case .epoch = event { throw Stop(step: -1) }
      }
    }
    #expect(stopped.weights != weights)
  }

  /// Augmentation sees whole batches of samples, and changes what is learned, not the caller's tensor.
  @Test func augmentation() throws {
    struct Zero: Augmentation {
      func apply(to batch: inout MutableSpan<Float>, shape: Shape, using source: inout RandomSource)
      {
        precondition(shape == [4, 4, 4, 2] && batch.count == shape.elementCount)
        for i in batch.indices { batch[i] = 0 }
      }
    }
    let data = TinyData(14)
    let copy = data.samples.elements
    let trainer = try Trainer(
      TinyNet().trainingGraph(), optimizer: SGD(learningRate: 0), batchSize: 4)
    try trainer.fit(data.samples, labels: data.labels, epochs: 1, augmentation: Zero())
    #expect(data.samples.elements == copy)
    // Of zeros the convolution leaves its bias, whose variance is 0: v ← 0.9·v, three times.
    let variance = try #require(trainer.weights["bn.runningVariance"])
    #expect(variance.elements.allSatisfy { abs($0 - 0.729) <= 1e-6 })
  }
}
