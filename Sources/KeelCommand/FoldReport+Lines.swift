import Keel

extension FoldReport {
  /// The totals, a line of counts for each stage (the first part of a layer's path, between points or slashes),
  /// and every operation that was kept.
  var stageLines: [String] {
    var operations: [String] = []
    var stages: [String] = []
    var counts: [[String]: Int] = [:]
    for entry in entries {
      // A target is a kind and a path, a layer is a path or ends in one ("ReLU after bn1").
      var words = (entry.target ?? entry.layer).split(separator: " ")
      // "(1 of 2)" tells layers of one path apart.
      if words.count > 3, words[words.count - 2] == "of" { words.removeLast(3) }
      let path = words.last ?? ""
      let stage = path.split(whereSeparator: { "./".contains($0) }).first.map(String.init) ?? "—"
      if !operations.contains(entry.operation) { operations.append(entry.operation) }
      if !stages.contains(stage) { stages.append(stage) }
      if case .kept = entry.outcome { continue }
      counts[[stage, entry.operation], default: 0] += 1
    }
    let width = max(7, stages.map(\.count).max() ?? 0)
    func line(_ name: String, _ values: [String]) -> String {
      name + String(repeating: " ", count: width - name.count)
        + zip(values, operations).map { pad($0, $1.count + 4) }.joined()
    }
    let kept = entries.map(\.description).filter { $0.hasPrefix("kept") }
    return [totals, line("", operations)]
      + stages.map { stage in
        line(stage, operations.map { counts[[stage, $0]].map(String.init) ?? "·" })
      } + kept
  }

  /// A line for each operation, then the totals.
  var operationLines: [String] { entries.map(\.description) + [totals] }
}
