import Foundation
import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import KeelTraining
import Testing

/// What PyTorch's optimizers, clipping, schedules and initializers do, in double.
struct TrainingFigures: Decodable, Sendable {
  struct Steps: Decodable, Sendable {
    let kind: String
    let options: [String: Double]
    let weights: [[Double]]
  }
  struct Clipping: Decodable, Sendable {
    let kind: String
    let limit: Double
    let clipped: [[Double]]
  }
  struct Schedule: Decodable, Sendable {
    let kind: String
    let options: [String: Double]
    let rates: [Double]
  }
  let start: [Double]
  let gradients: [[Double]]
  let optimizers: [Steps]
  let clippedGradients: [[Double]]
  let clipping: [Clipping]
  let schedules: [Schedule]

  static let all = try! JSONDecoder().decode(
    TrainingFigures.self, from: Figures.data("training.json"))
}

/// Class golden: training against PyTorch.
@Suite struct TrainingFigureTests {
  private static let figures = TrainingFigures.all

  private func optimizer(_ steps: TrainingFigures.Steps) throws -> any Optimizer {
    let options = steps.options
    func option(_ name: String, _ standard: Double) -> Double { options[name] ?? standard }
    let (rate, momentum) = (option("lr", 0), option("momentum", 0))
    let decay = option("weight_decay", steps.kind == "AdamW" ? 0.01 : 0)
    switch steps.kind {
    case "SGD":
      return try SGD(
        learningRate: rate, momentum: momentum, nesterov: options["nesterov"] == 1,
        weightDecay: decay)
    case "RMSprop":
      return try RMSProp(
        learningRate: rate, alpha: option("alpha", 0.99), centered: options["centered"] == 1,
        momentum: momentum, weightDecay: decay)
    default:
      return try AdamW(
        learningRate: rate, beta1: option("beta1", 0), beta2: option("beta2", 0),
        epsilon: option("eps", 1e-8), weightDecay: decay,
        decay: steps.kind == "AdamW" ? .decoupled : .coupled)
    }
  }

  @Test(arguments: figures.optimizers.indices)
  func optimizers(index: Int) throws {
    let (figures, steps) = (Self.figures, Self.figures.optimizers[index])
    let optimizer = try optimizer(steps)
    let count = figures.start.count
    var exact = figures.start
    var exactSlots = optimizer.slotNames.map { _ in [Double](repeating: 0, count: count) }
    var weight = Tensor(rounding: try DoubleTensor(figures.start, shape: [count]))
    var slots = Tensor(zeros: [optimizer.slotNames.count, count])
    for (step, gradient) in figures.gradients.enumerated() {
      let what = "\(steps.kind), \(steps.options), step \(step)"
      let now = OptimizerStep(
        index: step, rate: optimizer.learningRate.rate(atStep: step, of: figures.gradients.count),
        weightDecay: optimizer.weightDecay)
      optimizer.referenceStep(now, weight: &exact, slots: &exactSlots, gradient: gradient)
      expectClose(exact, steps.weights[step], within: 1e-10, what)
      let rounded = Tensor(rounding: try DoubleTensor(gradient, shape: [count]))
      weight.withMutableSpan { weight in
        slots.withMutableSpan { slots in
          rounded.withSpan { optimizer.step(now, weight: &weight, slots: &slots, gradient: $0) }
        }
      }
      expectClose(
        weight.elements.map(Double.init), steps.weights[step],
        within: Double(step + 1) * 4 * Tolerance.elementwise, what)
    }
  }

  /// Two weights of 0 whose gradients are given: a step of rate 1 leaves minus what clipping left.
  @Test(arguments: figures.clipping.indices)
  func clipping(index: Int) throws {
    let (figures, clipping) = (Self.figures, Self.figures.clipping[index])
    var builder = GraphBuilder()
    _ = builder.input("x", ValueType([.batch, 1]))
    let labels = builder.input("labels", ValueType([.batch]))
    _ = labels
    var loss: ValueID?
    for (i, gradient) in figures.clippedGradients.enumerated() {
      let count = gradient.count
      let weight = builder.weight("w\(i)", Tensor(zeros: [1, count]))
      let given = builder.weight(
        "g\(i)", Tensor(rounding: try DoubleTensor(gradient, shape: [1, count])), role: .state)
      let product = try builder.append(.linear(Epilogue()), [weight, given])[0]
      let term = try builder.append(.reshape([]), [product])[0]
      loss = try loss.map { try builder.append(.add, [$0, term])[0] } ?? term
    }
    builder.output("loss", loss!)
    let trainer = try Trainer(
      builder.finish(), optimizer: SGD(learningRate: 1), batchSize: 1,
      clipping: clipping.kind == "norm" ? .norm(clipping.limit) : .value(clipping.limit))
    try trainer.fit(Tensor(zeros: [1, 1]), targets: Tensor(zeros: [1]), epochs: 1)
    for (i, expected) in clipping.clipped.enumerated() {
      expectClose(
        trainer.weights["w\(i)"]!.elements.map { -Double($0) }, expected,
        within: 4 * Tolerance.elementwise, "\(clipping.kind) \(clipping.limit)")
    }
  }

  @Test(arguments: figures.schedules.indices)
  func schedules(index: Int) throws {
    let figure = Self.figures.schedules[index]
    func option(_ name: String) -> Double { figure.options[name] ?? 0 }
    let schedule: any LearningRateSchedule =
      switch figure.kind {
      case "step": try StepSchedule(0.4, factor: option("factor"), every: Int(option("every")))
      case "milestones":
        try StepSchedule(
          0.4, factor: option("factor"),
          milestones: [Int(option("first")), Int(option("second"))])
      default: try CosineSchedule(0.4, final: option("final"))
      }
    let rates = figure.rates.indices.map { schedule.rate(atStep: $0, of: figure.rates.count) }
    expectClose(rates, figure.rates, within: 1e-12, figure.kind)
  }
}

/// Training with losses other than the cross-entropy of labels.
@Suite struct TrainerTargetTests {
  @Test func regressionFindsTheLine() throws {
    var source = RandomSource(seed: 5)
    let model = Linear(3, 2, using: &source)
    let x = Tensor(normal: [64, 3], using: &source)
    let targets = Tensor(uninitialized: [64, 2]) { out in
      for n in 0..<64 {
        out[2 * n] = x[n, 0] - 2 * x[n, 1] + 0.5
        out[2 * n + 1] = 3 * x[n, 2] - 1
      }
    }
    for kind in [.squaredError, .huber()] as [Loss.Kind] {
      let trainer = try Trainer(
        .trainingGraph(of: model, input: [.batch, 3], loss: Loss(kind)),
        optimizer: SGD(learningRate: 0.2, momentum: 0.5), batchSize: 16)
      try trainer.fit(x, targets: targets, epochs: 60)
      let expected = try DoubleTensor([1, -2, 0, 0, 0, 3], shape: [2, 3])
      expectClose(try #require(trainer.weights["weight"]), expected, bound: 1e-4)
      let bias = try DoubleTensor([0.5, -1], shape: [2])
      expectClose(try #require(trainer.weights["bias"]), bias, bound: 1e-4)
      let error = #expect(throws: KeelError.self) {
        try trainer.fit(x, labels: IndexTensor(zeros: [64]), epochs: 1)
      }
      #expect(
        error?.description
          == "shape error at training labels: expected 64 targets of 2, found int64 64")
    }
  }

  @Test func labelsPerPixel() throws {
    var source = RandomSource(seed: 6)
    let model = Conv2d(2, 3, kernel: 1, using: &source)
    let graph = try Graph.trainingGraph(
      of: model, input: [.batch, 4, 4, 2], loss: Loss(.crossEntropy(ignoring: -1)))
    let trainer = try Trainer(graph, optimizer: SGD(learningRate: 1), batchSize: 4)
    let x = Tensor(normal: [8, 4, 4, 2], using: &source)
    var labels = IndexTensor(uninitialized: [8, 4, 4]) { out in
      for i in out.indices {
        out[i] = x[flat: 2 * i] > 0 ? 0 : x[flat: 2 * i + 1] > 0 ? 1 : 2
      }
    }
    labels[0, 0, 0] = -1
    var losses: [Double] = []
    try trainer.fit(x, labels: labels, epochs: 40) {
      if case .epoch(let epoch) = $0 { losses.append(epoch.meanLoss) }
    }
    #expect(losses.last! < 0.3 * losses.first!)
    labels[7, 3, 3] = 3
    let error = #expect(throws: KeelError.self) { try trainer.fit(x, labels: labels, epochs: 1) }
    #expect(
      error?.description
        == "value error at training labels: expected labels from 0 to 2, found 3 for sample 7")
  }

  @Test func lossesOfOtherOperands() throws {
    var source = RandomSource(seed: 7)
    let model = Linear(3, 2, using: &source)
    let error = #expect(throws: KeelError.self) {
      try Graph.trainingGraph(of: model, input: [.batch, 3], loss: Loss(.marginRanking()))
    }
    #expect(
      error?.description
        == "argument error at loss: expected one of a prediction and a target, found margin ranking "
        + "of 3 operands")
  }
}
