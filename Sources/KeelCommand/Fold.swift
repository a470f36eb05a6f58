import ArgumentParser
import Keel

/// `keel fold`: a network's norms folded into its weights.
struct Fold: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Folds batch norms into weights, writes the model, reports what went where.",
    discussion: """
      Weights are computed in Double and rounded once. The report tells, for every operation that folding \
      looked at, what became of it, and where it was kept, why. Without --output nothing is written.

        keel fold resnet50.onnx -o folded.onnx
        keel fold resnet50.onnx -o folded.onnx --verbose
        keel fold resnet18 --json
      """)

  @OptionGroup var model: ModelArguments
  @Option(
    name: .shortAndLong, help: "The ONNX file to write.", completion: .file(extensions: ["onnx"]))
  var output: String?
  @Option(help: "Seed of a built-in network's random weights.") var seed: UInt64 = 0
  @Flag(help: "List every operation.") var verbose = false
  @Flag(help: "Print one JSON object.") var json = false

  private struct Result: Encodable {
    struct Entry: Encodable {
      let operation: String
      let layer: String
      let outcome: String
      /// What took it in.
      let target: String?
      /// How, where that is not plain.
      let detail: String?
      /// Why it was kept.
      let reason: String?
    }
    let network: String
    let output: String?
    let folded: Int
    let fused: Int
    let removed: Int
    let kept: Int
    let operationsBefore: Int
    let operationsAfter: Int
    let parametersBefore: Int
    let parametersAfter: Int
    let entries: [Entry]
  }

  func run() throws {
    Terminal.complainAboutSettings()
    var source = RandomSource(seed: seed)
    let model = try model.load(using: &source)
    let (folded, report) = try Terminal.during("folding \(model.name)") {
      try model.graph.folded()
    }
    if let output {
      try Terminal.during("writing \(output)") { try writeModel(folded, to: output) }
    }
    let result = result(model, folded, report)
    if json { try printJSON(result) } else { show(result, report) }
  }

  private func result(_ model: LoadedModel, _ folded: Graph, _ report: FoldReport) -> Result {
    func parameters(_ graph: Graph) -> Int { graph.weights.reduce(0) { $0 + $1.tensor.count } }
    return Result(
      network: model.name, output: output, folded: report.foldedCount, fused: report.fusedCount,
      removed: report.removedCount, kept: report.keptCount,
      operationsBefore: model.graph.nodes.count, operationsAfter: folded.nodes.count,
      parametersBefore: parameters(model.graph), parametersAfter: parameters(folded),
      entries: report.entries.map { entry in
        var reason: String?
        if case .kept(let why) = entry.outcome { reason = why }
        return Result.Entry(
          operation: entry.operation, layer: entry.layer, outcome: entry.outcome.name,
          target: entry.target, detail: entry.detail, reason: reason)
      })
  }

  private func show(_ result: Result, _ report: FoldReport) {
    for line in verbose ? report.operationLines : report.stageLines { print(line) }
    print(
      """

      \(result.network): \(count(result.operationsBefore, "operation")) before, \
      \(grouped(result.operationsAfter)) after; \(grouped(result.parametersBefore)) weights before, \
      \(grouped(result.parametersAfter)) after
      """)
    if let output { print("written to \(output)") }
  }
}

extension FoldReport.Outcome {
  /// One word for it.
  fileprivate var name: String {
    switch self {
    case .folded: "folded"
    case .fused: "fused"
    case .removed: "removed"
    case .kept: "kept"
    }
  }
}
