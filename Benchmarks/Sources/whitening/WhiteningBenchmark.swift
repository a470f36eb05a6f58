import ArgumentParser
import BenchmarkHarness
import Keel

/// Times what whitening is made of.
struct WhiteningBenchmark: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "whitening",
    abstract: "Times whitenings beside their matrix products alone, and eigendecompositions.",
    discussion: """
      Whitenings are those that are compared with PyTorch, forward and in training. Eigendecompositions, by \
      Jacobi rotations and by LAPACKE, are of covariances of random rows. Results are checked before anything \
      is timed; the exit status is 1 where one is wrong. Rounds are interleaved.
      """)

  @Option(help: "Threads. (default: KEEL_THREADS or the process's CPUs)")
  var threads: Int?

  @Option(help: "Timed rounds. (default: 11; 3 with --quick)")
  var rounds: Int?

  @Option(
    help: "Only lines that match this regular expression, such as 'eigen 16 ' or 'zca.*training'.")
  var lines: String?

  @Flag(help: "Print one JSON object and nothing else.")
  var json = false

  @Flag(help: "Fewer rounds: to see that all works.")
  var quick = false

  func validate() throws {
    if let threads, threads < 1 { throw ValidationError("--threads must be at least 1.") }
    if let rounds, rounds < 1 { throw ValidationError("--rounds must be at least 1.") }
    let (eigen, whitening) = try chosenLines()
    if eigen.isEmpty, whitening.isEmpty { throw ValidationError("No line matches --lines.") }
  }

  func run() throws {
    let threads = threads ?? ThreadCount.automatic
    let rounds = rounds ?? (quick ? 3 : 11)
    let machine = Machine(threads: threads, blasThreads: 1)
    if machine.build != "release" { complain("warning: a debug build; use -c release") }
    let sampling = Sampling(rounds: rounds, warmUps: 1, minimumSample: quick ? 0.0005 : 0.002)
    let progress = Progress()
    defer { progress.clear() }
    let (eigen, whitening) = try chosenLines()
    let count = eigen.count + whitening.count
    var report = Report(
      machine: machine, rounds: rounds, largestJacobiOrder: EigenBatch.largestJacobiOrder)
    for (index, line) in eigen.enumerated() {
      progress.show("[\(index + 1)/\(count)] \(line.name)")
      report.eigen.append(try line.measure(threads: threads, sampling: sampling))
    }
    for (index, line) in whitening.enumerated() {
      progress.show("[\(eigen.count + index + 1)/\(count)] \(line.name)")
      report.whitening.append(try line.measure(threads: threads, sampling: sampling))
    }
    progress.clear()
    print(json ? try jsonText(report) : report.text)
  }

  private func chosenLines() throws -> (eigen: [EigenLine], whitening: [WhiteningLine]) {
    (
      try chosen(EigenLine.all, matching: lines) { $0.name },
      try chosen(WhiteningLine.all, matching: lines) { $0.name }
    )
  }
}
