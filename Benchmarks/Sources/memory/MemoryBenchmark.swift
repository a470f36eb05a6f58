import ArgumentParser
import BenchmarkHarness
import Keel

/// Times the kernels that do little arithmetic for each byte beside loops that only move the bytes.
struct MemoryBenchmark: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "memory",
    abstract:
      "Times elementwise, pooling and depthwise kernels beside loops that only move the bytes.",
    discussion: """
      Each kernel runs on tensors of twice the last-level cache, and on tensors of 1 MiB that stay in \
      the second level, there on one thread. Results are checked before anything is timed; the exit \
      status is 1 where one is wrong. Rounds are interleaved.
      """)

  @Option(help: "Threads for the large tensors. (default: KEEL_THREADS or the process's CPUs)")
  var threads: Int?

  @Option(help: "Timed rounds. (default: 15; 3 with --quick)")
  var rounds: Int?

  @Option(help: "Only lines that match this regular expression, such as 'pool'.")
  var lines: String?

  @Flag(help: "Print one JSON object and nothing else.")
  var json = false

  @Flag(help: "Fewer rounds and smaller tensors: to see that all works.")
  var quick = false

  func validate() throws {
    if let threads, threads < 1 { throw ValidationError("--threads must be at least 1.") }
    if let rounds, rounds < 1 { throw ValidationError("--rounds must be at least 1.") }
    if try chosenLines().isEmpty { throw ValidationError("No line matches --lines.") }
  }

  func run() throws {
    let threads = threads ?? ThreadCount.automatic
    let rounds = rounds ?? (quick ? 3 : 15)
    let machine = Machine(threads: threads, blasThreads: 1)
    if machine.build != "release" { complain("warning: a debug build; use -c release") }
    let large = quick ? 8 << 20 : 2 * Caches.lastLevelBytes
    let sampling = Sampling(
      rounds: rounds, warmUps: 1, minimumSample: quick ? 0.0005 : 0.002)
    let progress = Progress()
    defer { progress.clear() }
    var results: [LineResult] = []
    let lines = try chosenLines()
    for (index, line) in lines.enumerated() {
      progress.show("[\(index + 1)/\(lines.count)] \(line.name)")
      results.append(try line.measure(bytes: large, threads: threads, sampling: sampling))
      results.append(try line.measure(bytes: 1 << 20, threads: 1, sampling: sampling))
    }
    progress.clear()
    let report = Report(machine: machine, largeBytes: large, rounds: rounds, lines: results)
    print(json ? try jsonText(report) : report.text)
  }

  private func chosenLines() throws -> [MemoryLine] {
    try chosen(MemoryLine.all, matching: lines) { $0.name }
  }
}
