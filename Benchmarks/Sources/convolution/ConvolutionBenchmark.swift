import ArgumentParser
import BenchmarkHarness
import Keel

/// Times convolutions of known networks alone, with batch norm and ReLU after them, and fused, beside
/// a matrix product of the same size.
struct ConvolutionBenchmark: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convolution",
    abstract: "Times convolutions alone, unfused, fused, and GEMMs of the same size.",
    discussion: """
      Results are compared before anything is timed; the exit status is 1 where they differ. Rounds \
      are interleaved, and fractions of peak refer to peaks measured in the same run.
      """)

  @Option(help: "Threads of Keel and the GEMM. (default: KEEL_THREADS or the process's CPUs)")
  var threads: Int?

  @Option(help: "Timed rounds. (default: 30; 5 with --quick)")
  var rounds: Int?

  @Option(help: "Only shapes whose line matches this regular expression, such as 'ResNet.* 3x3'.")
  var lines: String?

  @Flag(help: "Print one JSON object and nothing else.")
  var json = false

  @Flag(help: "Fewer rounds, shorter samples and smaller buffers: to see that all works.")
  var quick = false

  func validate() throws {
    if let threads, threads < 1 { throw ValidationError("--threads must be at least 1.") }
    if let rounds, rounds < 1 { throw ValidationError("--rounds must be at least 1.") }
    if try shapes().isEmpty { throw ValidationError("No shape's line matches --lines.") }
  }

  func run() throws {
    let threads = threads ?? ThreadCount.automatic
    let rounds = rounds ?? (quick ? 5 : 30)
    let suite = Suite(
      threads: threads,
      sampling: Sampling(
        rounds: rounds, warmUps: quick ? 1 : 2, minimumSample: quick ? 0.0005 : 0.002))
    let machine = Machine(threads: threads, blasThreads: threads)
    if machine.build != "release" { complain("warning: a debug build; use -c release") }

    let progress = Progress()
    defer { progress.clear() }
    progress.show("peaks")
    var peaks = Peaks.measure(
      threads: threads, bufferBytes: (quick ? 64 : 256) << 20, rounds: quick ? 2 : 5)
    let shapes = try shapes()
    var results: [ShapeResult] = []
    for (index, shape) in shapes.enumerated() {
      progress.show("[\(index + 1)/\(shapes.count)] \(shape.line)")
      results.append(try suite.run(shape))
    }
    progress.show("peaks")
    peaks.measureMultiplyAddsAgain()
    progress.clear()

    let report = Report(machine: machine, peaks: peaks, rounds: rounds, shapes: results)
    print(json ? try jsonText(report) : report.text)
  }

  private func shapes() throws -> [ConvolutionShape] {
    try chosen(ShapeTable.all, matching: lines) { $0.line }
  }
}
