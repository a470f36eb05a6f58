import Keel

/// What `keel demo` found.
struct DemoResult: Encodable {
  /// The times for one batch size.
  struct Timing: Encodable {
    struct Times: Encodable {
      let unfused: PairedTiming.Times
      let fused: PairedTiming.Times
      let speedup: Double
    }
    let batch: Int
    let times: Times

    init(batch: Int, _ times: PairedTiming) {
      self.batch = batch
      self.times = Times(unfused: times.first, fused: times.second, speedup: times.speedup)
    }
  }

  private let seed: UInt64
  private let threads: Int
  private let epochs: Int
  private let trainSeconds: Double
  private let trainImages: Int
  private let validationAccuracy: Double
  private let testAccuracy: Double
  private let testImages: Int
  private let top1Agreement: Double
  private let maxRelativeDifference: Double
  private let folded: Int
  private let fused: Int
  private let kept: Int
  /// The times and speedup at the batch size with the smaller speedup; `timings` has all.
  private let batch: Int
  private let unfusedMs: Double
  private let fusedMs: Double
  private let speedup: Double
  private let timings: [Timing]

  init(
    seed: UInt64, threads: Int, epochs: Int, trainSeconds: Double, trainImages: Int,
    validationAccuracy: Double, testAccuracy: Double, testImages: Int,
    verification: Verification, report: FoldReport, timings: [Timing]
  ) {
    self.seed = seed
    self.threads = threads
    self.epochs = epochs
    self.trainSeconds = trainSeconds
    self.trainImages = trainImages
    self.validationAccuracy = validationAccuracy
    self.testAccuracy = testAccuracy
    self.testImages = testImages
    top1Agreement = verification.topOneAgreement ?? 0
    maxRelativeDifference = verification.maxRelativeDifference
    folded = report.foldedCount
    fused = report.fusedCount
    kept = report.keptCount
    let worst = timings.min { $0.times.speedup < $1.times.speedup }!
    batch = worst.batch
    unfusedMs = worst.times.unfused.medianMs
    fusedMs = worst.times.fused.medianMs
    speedup = worst.times.speedup
    self.timings = timings
  }

  /// What the difference of the folded from the unfolded network may be at most, relative to the largest logit.
  private static let tolerance = 1e-5

  /// Whether the folded network is the unfolded one up to rounding.
  var passes: Bool { maxRelativeDifference <= Self.tolerance && top1Agreement == 1 }

  /// Prints the result for people.
  func print(_ report: FoldReport, verbose: Bool) {
    Swift.print(
      """

      trained   \(count(epochs, "epoch")) in \(fixed(trainSeconds, 1)) s
      accuracy  \(fixed(testAccuracy * 100, 2)) % of \(testImages) test digits \
      (validation \(fixed(validationAccuracy * 100, 2)) %)

      fold report\(verbose ? "" : " (--verbose lists every operation)")
      """)
    for line in verbose ? report.operationLines : report.stageLines { Swift.print("  \(line)") }
    Swift.print(
      """

      verified  folded in Float against unfolded in Double on the test digits:
                same class for \(fixed(top1Agreement * 100, 2)) %, largest relative difference \
      \(scientific(maxRelativeDifference, 2)) (at most \(scientific(Self.tolerance, 0)))

      time of one run, median of 30 interleaved pairs
        batch   unfused ms   fused ms   speedup
      """)
    for timing in timings {
      let columns = [
        pad("\(timing.batch)", 7), pad(milliseconds(timing.times.unfused.medianMs), 13),
        pad(milliseconds(timing.times.fused.medianMs), 11),
        pad(fixed(timing.times.speedup, 2) + "×", 10),
      ]
      Swift.print(columns.joined())
    }
  }
}
