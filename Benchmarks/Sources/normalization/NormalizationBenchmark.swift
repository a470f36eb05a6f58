import ArgumentParser
import BenchmarkHarness
import Keel

/// Times normalizations beside loops that only move the bytes.
struct NormalizationBenchmark: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "normalization",
    abstract: "Times normalizations, forward and backward, beside loops that only move the bytes.",
    discussion: """
      Batch, layer, instance and group norm in training, plain, with ReLU, with add and ReLU, on the \
      shapes that are compared with PyTorch, and on as many samples of each as make twice the last-level \
      cache. Results are checked before anything is timed; the exit status is 1 where one is wrong. Rounds \
      are interleaved.
      """)

  @Option(help: "Threads. (default: KEEL_THREADS or the process's CPUs)")
  var threads: Int?

  @Option(help: "Timed rounds. (default: 15; 3 with --quick)")
  var rounds: Int?

  @Option(help: "Only lines that match this regular expression, such as 'large batch.*backward'.")
  var lines: String?

  @Option(help: "Instead, time a training step of ResNet-18 on so many images of 32x32.")
  var training: Int?

  @Flag(help: "Print one JSON object and nothing else.")
  var json = false

  @Flag(help: "Fewer rounds, and smaller large tensors: to see that all works.")
  var quick = false

  func validate() throws {
    if let threads, threads < 1 { throw ValidationError("--threads must be at least 1.") }
    if let rounds, rounds < 1 { throw ValidationError("--rounds must be at least 1.") }
    if let training, training < 1 { throw ValidationError("--training must be at least 1.") }
    if try chosenLines().isEmpty { throw ValidationError("No line matches --lines.") }
  }

  func run() throws {
    let threads = threads ?? ThreadCount.automatic
    let rounds = rounds ?? (quick ? 3 : 15)
    let machine = Machine(threads: threads, blasThreads: 1)
    if machine.build != "release" { complain("warning: a debug build; use -c release") }
    let sampling = Sampling(
      rounds: rounds, warmUps: 1, minimumSample: quick ? 0.0005 : 0.002)
    if let training {
      let steps = try TrainingSteps.measure(batch: training, threads: threads, sampling: sampling)
      print(json ? try jsonText(steps) : steps.text)
      return
    }
    let progress = Progress()
    defer { progress.clear() }
    var results: [LineResult] = []
    let lines = try chosenLines()
    for (index, line) in lines.enumerated() {
      progress.show("[\(index + 1)/\(lines.count)] \(line.name)")
      results.append(try line.measure(threads: threads, sampling: sampling))
    }
    progress.clear()
    let report = Report(
      machine: machine, secondLevelBytes: Caches.secondLevelBytes, largeBytes: largeBytes,
      rounds: rounds, lines: results)
    print(json ? try jsonText(report) : report.text)
  }

  /// The bytes of a large tensor.
  private var largeBytes: Int { quick ? 8 << 20 : 2 * Caches.lastLevelBytes }

  private func chosenLines() throws -> [NormalizationLine] {
    try chosen(NormalizationLine.all(largeBytes: largeBytes), matching: lines) { $0.name }
  }
}
