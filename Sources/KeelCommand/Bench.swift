import ArgumentParser
import Keel

/// `keel bench`: a network unfused and fused.
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Times a network with its batch norms as they are and folded.",
    discussion: """
      Both are run in turn on the same random inputs, after their results have been compared. Built-in \
      networks have random weights and statistics.

        keel bench resnet50.onnx --batch 8
        keel bench resnet18 --batch 1 --threads 2 --layers
        keel bench digits --batch 64 --json
      """)

  @OptionGroup var model: ModelArguments
  @Option(help: "Images in a batch (default: 1, or what the ONNX file is made for).")
  var batch: Int?
  @Option(help: "Threads (default: what this process may use).") var threads: Int?
  @Option(help: "Interleaved pairs of runs.") var rounds = 30
  @Option(help: "Seed of random weights and inputs.") var seed: UInt64 = 0
  @Flag(help: "Also show the time of each layer of the folded network.") var layers = false
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    try check("--batch", batch, in: 1...65536)
    try check("--rounds", rounds, in: 1...100_000)
    try check("--threads", threads, in: 1...1024)
  }

  private struct Result: Encodable {
    let network: String
    let batch: Int
    let threads: Int
    let rounds: Int
    let vectorLevel: String
    let blasCore: String
    let multiplyAddsPerImage: Int
    let unfused: PairedTiming.Times
    let fused: PairedTiming.Times
    let speedup: Double
    let fusedGflopPerSecond: Double
    let maxRelativeDifference: Double
    let weightsMb: Double
    /// Of the folded network, as its algorithms read them.
    let packedWeightsMb: Double
    /// Of the folded network, as `arenaMb`: inputs, arena and scratch.
    let workspaceMb: Double
    /// Values between operations.
    let arenaMb: Double
    /// Of the process, which holds both networks.
    let peakRssMb: Double
    /// The network without its batch norms and activations.
    let convolutionsAlone: PairedTiming.Times
    /// How much longer the folded network takes, as a part of that: the median over pairs.
    let normAndActivationCost: Double
    /// Of the folded network.
    let layers: [LayerTiming.Layer]
  }

  /// Runs whose layers are timed.
  private static let layerRuns = 10

  func run() throws {
    Terminal.complainAboutSettings()
    let threads = Parallelism(threads: threads).threadCount
    var source = RandomSource(seed: seed)
    let model = try model.load(using: &source)
    let shapes = try model.inputShapes(batch: batch)
    let (comparison, report) = try Terminal.during("folding \(model.name)") {
      let (folded, report) = try model.graph.folded()
      return (
        try FoldComparison(model.graph, folded, shapes: shapes, threads: threads), report
      )
    }
    try comparison.setInputs(try model.randomInputs(shapes, using: &source))
    let difference = try comparison.difference().relative
    guard difference <= 1e-4 else {
      throw CheckFailure(
        message:
          "fused and unfused results differ by \(scientific(difference, 2)), relative to the largest"
      )
    }
    var bar = ProgressBar("timing")
    let times = try comparison.time(rounds: rounds) {
      bar.show($0, of: rounds, "round \($0 + 1) of \(rounds)")
    }
    bar.finish()
    let peak = peakResidentByteCount()
    let alone = try comparison.timeAlone(model.graph, shapes: shapes, rounds: rounds)
    let timing = try LayerTiming(
      comparison.fused.plan, comparison.fused.workspace, runs: min(rounds, Self.layerRuns))
    let images = model.inputs.first.flatMap { shapes[$0.name]!.extents.first } ?? 1
    let multiplyAdds = try GraphSummary(model.graph, inputShapes: shapes).multiplyAdds
    let result = Result(
      network: model.name, batch: images, threads: threads, rounds: rounds,
      vectorLevel: VectorLevel.current.name, blasCore: BLASInfo.coreName,
      multiplyAddsPerImage: multiplyAdds / images, unfused: times.first, fused: times.second,
      speedup: times.speedup,
      fusedGflopPerSecond: 2 * Double(multiplyAdds) / (times.second.medianMs * 1e6),
      maxRelativeDifference: difference,
      weightsMb: Double(4 * model.graph.weights.reduce(0) { $0 + $1.tensor.count }) / 1e6,
      packedWeightsMb: Double(comparison.fused.plan.weightByteCount) / 1e6,
      workspaceMb: Double(comparison.fused.plan.byteCount) / 1e6,
      arenaMb: Double(comparison.fused.plan.arenaByteCount) / 1e6,
      peakRssMb: Double(peak) / 1e6, convolutionsAlone: alone.second,
      normAndActivationCost: alone.speedup - 1, layers: timing.layers)
    if json { return try printJSON(result) }
    show(result, report)
    if layers { print("\n" + timing.lines.joined(separator: "\n")) }
  }

  private func show(_ result: Result, _ report: FoldReport) {
    print(
      """
      \(result.network), batch \(result.batch), \(count(result.threads, "thread")), \
      \(result.vectorLevel) loops, OpenBLAS core \(result.blasCore)
      \(count(report.foldedCount, "operation")) folded, \(grouped(report.fusedCount)) fused; \
      largest relative difference \(scientific(result.maxRelativeDifference, 2))

                 median ms     min ms
      unfused  \(column(result.unfused.medianMs))\(column(result.unfused.minMs))
      fused    \(column(result.fused.medianMs))\(column(result.fused.minMs))
      alone    \(column(result.convolutionsAlone.medianMs))\(column(result.convolutionsAlone.minMs))  \
      without norms and activations, which cost \(fixed(100 * result.normAndActivationCost, 1)) %

      speedup \(fixed(result.speedup, 2))× (median of \(count(result.rounds, "interleaved pair"))), \
      \(fixed(result.fusedGflopPerSecond, 1)) GFLOP/s, \
      \(fixed(Double(result.batch) / result.fused.medianMs * 1000, 1)) images/s
      """)
  }

  private func column(_ value: Double) -> String { pad(milliseconds(value), 11) }
}
