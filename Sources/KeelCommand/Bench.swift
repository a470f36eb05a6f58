import ArgumentParser
import Keel

/// `keel bench`: a network unfused and fused.
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Times a network with its batch norms as they are and folded.",
    discussion: """
      NETWORK is a built-in network (`keel summary` lists them) with random weights and statistics.

        keel bench resnet18 --batch 1 --threads 2
        keel bench digits --batch 64 --json
      """)

  @Argument(help: "A built-in network.", transform: BuiltInNetwork.named)
  var network: BuiltInNetwork
  @Option(help: "Images in a batch.") var batch = 1
  @Option(help: "Threads (default: what this process may use).") var threads: Int?
  @Option(help: "Interleaved pairs of runs.") var rounds = 30
  @Option(help: "Seed of weights and images.") var seed: UInt64 = 0
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
    let workspaceMb: Double
  }

  func run() throws {
    Terminal.complainAboutSettings()
    let threads = Parallelism(threads: threads).threadCount
    var source = RandomSource(seed: seed)
    let graph = try network.graphWithStatistics(using: &source)
    let (folded, report) = try graph.folded()
    let shape = Shape([batch] + network.imageShape.extents)
    let comparison = try FoldComparison(graph, folded, shape: shape, threads: threads)
    try comparison.setInput(Tensor(normal: shape, using: &source))
    try comparison.unfused.plan.run(comparison.unfused.workspace)
    try comparison.fused.plan.run(comparison.fused.workspace)
    let difference = try largestDifference(comparison)
    guard difference <= 1e-4 else {
      throw CheckFailure(
        message:
          "fused and unfused results differ by \(scientific(difference, 2)), relative to the largest"
      )
    }
    let times = try comparison.time(rounds: rounds)
    let image = Shape([1] + network.imageShape.extents)
    let multiplyAdds = try GraphSummary(graph, inputShapes: ["x": image]).multiplyAdds
    let result = Result(
      network: network.rawValue, batch: batch, threads: threads, rounds: rounds,
      vectorLevel: VectorLevel.current.name, blasCore: BLASInfo.coreName,
      multiplyAddsPerImage: multiplyAdds, unfused: times.unfused, fused: times.fused,
      speedup: times.speedup,
      fusedGflopPerSecond: 2 * Double(multiplyAdds * batch) / (times.fused.medianMs * 1e6),
      maxRelativeDifference: difference,
      weightsMb: Double(4 * graph.weights.reduce(0) { $0 + $1.tensor.count }) / 1e6,
      workspaceMb: Double(comparison.fused.plan.byteCount) / 1e6)
    if json { try printJSON(result) } else { show(result, report) }
  }

  private func largestDifference(_ comparison: FoldComparison) throws -> Double {
    let expected = try comparison.unfused.workspace.output("y").floats(at: "y").elements
    let actual = try comparison.fused.workspace.output("y").floats(at: "y").elements
    let largest = expected.reduce(Float(0)) { max($0, abs($1)) }
    var difference: Float = 0
    for (a, b) in zip(expected, actual) {
      difference = (a - b).isNaN ? .infinity : max(difference, abs(a - b))
    }
    return Double(difference / largest)
  }

  private func show(_ result: Result, _ report: FoldReport) {
    print(
      """
      \(result.network), batch \(result.batch), \(count(result.threads, "thread")), \
      \(result.vectorLevel) loops, OpenBLAS core \(result.blasCore)
      \(count(report.foldedCount, "batch norm")) folded, \(count(report.fusedCount, "operation")) fused; \
      largest relative difference \(scientific(result.maxRelativeDifference, 2))

                 median ms     min ms
      unfused  \(column(result.unfused.medianMs))\(column(result.unfused.minMs))
      fused    \(column(result.fused.medianMs))\(column(result.fused.minMs))

      speedup \(fixed(result.speedup, 2))× (median of \(count(result.rounds, "interleaved pair"))), \
      \(fixed(result.fusedGflopPerSecond, 1)) GFLOP/s, \
      \(fixed(Double(result.batch) / result.fused.medianMs * 1000, 1)) images/s
      """)
  }

  private func column(_ value: Double) -> String { pad(milliseconds(value), 11) }
}
