import ArgumentParser
import Foundation
import Keel
import KeelData
import KeelReference

/// `keel demo`: a network from first weight to folded, verified and timed.
struct Demo: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Trains a residual network on handwritten digits, folds it, verifies it, times it.",
    discussion: """
      The 1,797 digits are split once and for all into 1,077 for training, 360 for validation and 360
      for test. Nothing is chosen by the test digits, and nothing by the validation digits either: both
      accuracies are of the weights after the last epoch.

        keel demo
        keel demo --json --seed 3 --threads 1
      """)

  @Option(help: "Seed of weights, batches and augmentation.") var seed: UInt64 = 0
  @Option(help: "Threads (default: what this process may use).") var threads: Int?
  @Option(help: "Epochs of training.") var epochs = 60
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    if let threads, threads < 1 {
      throw ValidationError("--threads: expected at least 1, found \(threads)")
    }
    if epochs < 1 { throw ValidationError("--epochs: expected at least 1, found \(epochs)") }
  }

  func run() throws {
    let threads = Parallelism(threads: threads).threadCount
    let splits = Digits.splits
    var source = RandomSource(seed: seed)
    let network = DigitsResNet(using: &source)
    if !json { introduce(network, threads) }

    let start = ContinuousClock.now
    try train(network, on: splits.train, threads)
    let trainSeconds = (ContinuousClock.now - start).seconds

    let graph = try Graph(tracing: network, input: [.batch, 8, 8, 1])
    let (folded, report) = try graph.folded()
    let verification = try Verification(
      graph, folded, on: splits.test.images, labels: splits.test.labels, threads: threads)
    let validation = try Metrics.accuracy(
      folded.run(inBatches: splits.validation.images, options: PlanOptions(threads: threads)),
      labels: splits.validation.labels)
    var timings: [DemoResult.Timing] = []
    for batch in [1, 64] {
      let comparison = try FoldComparison(
        graph, folded, input: splits.test.subset(0..<batch).images, threads: threads)
      timings.append(.init(batch: batch, times: try comparison.time(rounds: 30)))
    }
    let result = DemoResult(
      seed: seed, threads: threads, epochs: epochs, trainSeconds: trainSeconds,
      trainImages: splits.train.count, validationAccuracy: validation,
      verification: verification, report: report, timings: timings)
    if json { try printJSON(result) } else { result.print(report) }
    guard verification.passes else {
      throw CheckFailure(
        message: "the folded network differs from the unfolded one: relative difference "
          + "\(verification.maxRelativeDifference), agreement \(verification.topOneAgreement)")
    }
  }

  private func introduce(_ network: DigitsResNet, _ threads: Int) {
    print(
      """
      Keel \(KeelCommand.configuration.version) · \(VectorLevel.current) loops · OpenBLAS \
      \(BLASInfo.version ?? "?") (\(BLASInfo.coreName)) · \(threads) \(threads == 1 ? "thread" : "threads")
      A residual network with batch norm, \(network.trainableCount) parameters, on 8×8 digits: \
      1,077 to train, 360 to validate, 360 to test.
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
