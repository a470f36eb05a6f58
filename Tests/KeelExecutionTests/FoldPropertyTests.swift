import KeelExecution
import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Class identity: folding is exact. Folded weights that no rounding has touched give the unfolded graph's
/// results to 1e-12 in the Double reference; rounded to Float, plans and interpreter give them to 1e-5.
@Suite struct FoldPropertyTests {
  static let caseCount: UInt64 = 2000

  @Test(arguments: [FoldExtent.whereItPays, .everywhere])
  func foldedEqualsUnfolded(_ extent: FoldExtent) throws {
    var counts: [String: (folded: Int, kept: Int)] = [:]
    for seed in 1...Self.caseCount {
      let test = try FoldCase(seed: seed)
      let report = try check(test, seed: seed, extent)
      for entry in report.entries {
        let label = entry.layer.split(separator: " ").first.map(String.init) ?? ""
        guard let kind = test.kinds[label] else { continue }
        switch entry.outcome {
        case .kept: counts[kind, default: (0, 0)].kept += 1
        default:
          counts[kind, default: (0, 0)].folded += 1
          if let detail = entry.detail { counts[detail, default: (0, 0)].folded += 1 }
        }
      }
    }
    // Not by refusing: every kind of fold must have been done many times.
    let table = counts.sorted { $0.key < $1.key }
      .map { "  \($0.key): \($0.value.folded) folded, \($0.value.kept) kept" }
      .joined(separator: "\n")
    print("Folds of \(Self.caseCount) random graphs, \(extent):\n\(table)")
    for kind in Self.kinds(extent) {
      let folded = counts[kind]?.folded ?? 0
      // Where folding has to pay, maps for padding are often too large; few maps commute with ReLU.
      let isRare =
        kind.hasPrefix("past ") || (extent == .whereItPays && kind.hasSuffix("padded"))
      let least = isRare ? 3 : 5
      #expect(folded >= least, "\(kind): expected \(least) folds, found \(folded) of\n\(table)")
    }
  }

  /// The kinds of fold that must happen.
  private static func kinds(_ extent: FoldExtent) -> [String] {
    let convolutions = (1...3).flatMap { rank in
      ["dense", "grouped", "depthwise"].map { "\(rank)-D \($0)" }
    }
    let operators = ["linear"] + convolutions
    var kinds = operators.map { "into \($0) before it" }
    kinds += operators.map { "into \($0) after it" }
    kinds += convolutions.map { "into \($0) after it, padded" }
    kinds += ["dense", "grouped", "depthwise"].flatMap {
      ["into transposed \($0) before it", "into transposed \($0) after it"]
    }
    kinds += [
      "branch 1×1", "branch norm", "sum of branches", "into the host", "into a branch",
      "into several", "with a shared weight", "in a chain",
      "identity", "add", "subtract", "multiply", "divide", "with a map for the zero padding",
      "computed a second time",
    ]
    kinds += [
      "max pooling", "average pooling", "L2 pooling", "ReLU", "leaky ReLU", "transpose", "slice",
      "resize", "pad", "a reduction",
    ].map { "past \($0)" }
    if extent == .everywhere { kinds.append("padded with what the norm maps to zero") }
    return kinds
  }

  private func check(_ test: FoldCase, seed: UInt64, _ extent: FoldExtent) throws -> FoldReport {
    let graph = try test.graph
    let (folded, report, weights) = try graph.foldedExactly(extent)
    let inputs = try graph.randomInputs(seed: seed, batch: 2)
    var values: [String: ReferenceValue] = [:]
    for (name, value) in inputs { values[name] = ReferenceValue(value) }
    let expected = try ReferenceEvaluator(graph).run(values).outputs
    let exact = try ReferenceEvaluator(folded).run(values, weights: weights).outputs
    let interpreted = try Interpreter(folded, parallelism: .serial).run(inputs).outputs
    let plan = try Plan(
      folded, inputShapes: inputs.mapValues(\.shape), options: PlanOptions(threads: 1))
    let what = "seed \(seed), \(extent), \(test.form)"
    expectSameBits(try plan(inputs), interpreted, what)
    for (name, value) in expected {
      let isExact = expectClose(
        exact[name]!, value, bound: Tolerance.double, "\(what), \(name), Double")
      let isClose = expectClose(
        try interpreted[name]!.floats(at: name), value, bound: 1e-5, "\(what), \(name), Float")
      if !isExact || !isClose { Issue.record("\(what):\n\(report)") }
    }
    return report
  }
}
