import ArgumentParser
import Foundation
import Keel
import KeelData

/// `keel demo`: a network from first weight to folded, verified and timed.
struct Demo: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Trains a residual network on handwritten digits, folds it, verifies it, times it.",
    discussion: """
      The 1,797 digits are split once and for all into 1,077 for training, 360 for validation and 360 \
      for test. Nothing is chosen by the test digits, and nothing by the validation digits either: \
      both accuracies are of the weights after the last epoch.

        keel demo
        keel demo --json --seed 3 --threads 1
        keel demo --norm decorrelated
      """)

  @Option(help: "Seed of weights, batches and augmentation.") var seed: UInt64 = 0
  @Option(
    help:
      "What stands behind each convolution: \(Norm.allCases.map(\.rawValue).joined(separator: ", "))."
  )
  var norm = Norm.batch
  @Option(help: "Threads (default: what this process may use).") var threads: Int?
  @Option(help: "Epochs of training.") var epochs = 60
  @Flag(help: "List every operation that is folded or fused.") var verbose = false
  @Flag(help: "Print one JSON object.") var json = false

  /// The norms to choose from.
  enum Norm: String, ExpressibleByArgument, CaseIterable {
    case batch, decorrelated, iternorm

    func layer(_ channels: Int) -> any Layer {
      switch self {
      case .batch: BatchNorm(channels)
      case .decorrelated: DecorrelatedBatchNorm(channels)
      case .iternorm: IterNorm(channels)
      }
    }

    var title: String {
      switch self {
      case .batch: "batch norm"
      case .decorrelated: "decorrelated batch norm"
      case .iternorm: "IterNorm"
      }
    }
  }

  func validate() throws {
    try check("--threads", threads, in: 1...1024)
    try check("--epochs", epochs, in: 1...100_000)
  }

  func run() throws {
    Terminal.complainAboutSettings()
    let threads = Parallelism(threads: threads).threadCount
    let splits = Digits.splits
    var source = RandomSource(seed: seed)
    let network = DigitsResNet(norm: norm.layer, using: &source)
    if !json { introduce(network, splits, threads) }

    let start = ContinuousClock.now
    try train(network, on: splits.train, threads)
    let trainSeconds = (ContinuousClock.now - start).seconds

    let graph = try Graph(tracing: network, input: [.batch, 8, 8, 1])
    let (folded, report) = try graph.folded()
    var verification = try Verification(
      graph, folded, shapes: ["x": splits.test.images.shape], threads: threads)
    try verification.run(["x": .float32(splits.test.images)])
    let accuracies = try [splits.validation, splits.test].map {
      try Metrics.accuracy(
        folded.run(inBatches: $0.images, options: PlanOptions(threads: threads)), labels: $0.labels)
    }
    var timings: [DemoResult.Timing] = []
    for batch in [1, 64] {
      let images = splits.test.subset(0..<batch).images
      let comparison = try FoldComparison(
        graph, folded, shapes: ["x": images.shape], threads: threads)
      try comparison.setInputs(["x": .float32(images)])
      timings.append(.init(batch: batch, try comparison.time(rounds: 30)))
    }
    let result = DemoResult(
      seed: seed, threads: threads, epochs: epochs, trainSeconds: trainSeconds,
      trainImages: splits.train.count, validationAccuracy: accuracies[0],
      testAccuracy: accuracies[1], testImages: splits.test.count, verification: verification,
      report: report, timings: timings)
    if json { try printJSON(result) } else { result.print(report, verbose: verbose) }
    guard result.passes else {
      throw CheckFailure(
        message: "the folded network differs from the unfolded one: relative difference "
          + "\(scientific(verification.maxRelativeDifference, 2)), agreement "
          + "\(verification.topOneAgreement ?? 0)")
    }
  }

  private func introduce(_ network: DigitsResNet, _ splits: Digits.Splits, _ threads: Int) {
    print(
      """
      Keel \(KeelCommand.configuration.version) · \(VectorLevel.current) loops · OpenBLAS \
      \(BLASInfo.version ?? "?") (\(BLASInfo.coreName)) · \(count(threads, "thread"))
      A residual network with \(norm.title), \(grouped(network.trainableCount)) parameters, on 8×8 \
      digits: \(grouped(splits.train.count)) to train, \(grouped(splits.validation.count)) to \
      validate, \(grouped(splits.test.count)) to test.
      """)
  }

  private func train(
    _ network: DigitsResNet, on data: LabelledImages, _ threads: Int
  ) throws {
    let graph = try Graph.trainingGraph(of: network, input: [.batch, 8, 8, 1])
    let trainer = try Trainer(
      graph,
      optimizer: SGD(
        learningRate: CosineSchedule(0.05, warmUp: 32), momentum: 0.9, nesterov: true,
        weightDecay: 5e-4),
      batchSize: 32, seed: seed, threads: threads)
    var bar = ProgressBar("training")
    try trainer.fit(
      data.images, labels: data.labels, epochs: epochs, augmentation: RandomShift(pixels: 1)
    ) { event in
      if case .step(let step) = event {
        bar.show(
          step.index + 1, of: step.count,
          "epoch \(step.epoch + 1) of \(epochs), loss \(fixed(Double(step.loss), 3))")
      }
    }
    bar.finish()
    try network.load(trainer.weights)
  }
}
