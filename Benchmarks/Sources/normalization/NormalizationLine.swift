import BenchmarkHarness
import Keel

/// One pass of one normalization.
struct NormalizationLine {
  let normalization: NormalizationCase
  let pass: NormalizationCase.Pass
  /// Whether the tensors are large against the caches.
  let isLarge: Bool

  /// What `--lines` matches, such as `large batch + ReLU backward 71x56x56x64`.
  var name: String {
    let shape = normalization.shape.extents.map(String.init).joined(separator: "x")
    return (isLarge ? "large " : "") + normalization.method.rawValue
      + (normalization.method == .group ? "(\(normalization.groups))" : "")
      + "\(normalization.form.title) \(pass.rawValue) \(shape)"
  }

  /// The shapes of the suite `norms` of peers/compare.py.
  private static let shapes: [Shape] = [
    [32, 56, 56, 64], [8, 28, 28, 256], [16, 112, 112, 32], [128, 512], [4096, 768],
  ]

  /// Every line.
  static func all(largeBytes: Int) -> [NormalizationLine] {
    var lines: [NormalizationLine] = []
    for isLarge in [false, true] {
      for shape in shapes {
        let sample = 4 * shape.elementCount / shape[0]
        let samples = isLarge ? (largeBytes + sample - 1) / sample : shape[0]
        let shape = Shape([samples] + shape.extents.dropFirst())
        for method in NormalizationCase.Method.allCases
        where shape.rank > 2 || method != .instance {
          for form in NormalizationCase.Form.allCases {
            for pass in [NormalizationCase.Pass.forward, .backward] {
              lines.append(
                NormalizationLine(
                  normalization: NormalizationCase(method, form, shape), pass: pass,
                  isLarge: isLarge))
            }
          }
        }
      }
    }
    return lines
  }

  /// Checks and times the pass.
  func measure(threads: Int, sampling: Sampling) throws -> LineResult {
    var operands: [String: Tensor] = [:]
    let forward = try planned(.forward, &operands, threads: threads)
    try forward.run()
    operands["y"] = try forward.output("y")
    operands["moments"] = try forward.output("moments")
    let graph = pass == .forward ? forward : try planned(pass, &operands, threads: threads)
    try graph.run()
    let result = pass == .forward ? "y" : "dx"
    if pass != .forward { operands["dx"] = try graph.output("dx") }
    try FormulaCheck(normalization, operands).check(result, at: name)
    operands = [:]

    let passes = normalization.memoryPasses(pass, secondLevelBytes: Caches.secondLevelBytes)
    let floors = passes.map {
      MemoryFloor(reads: $0.reads, writes: $0.writes, threads: threads)
    }
    let comparison = try compare(
      [
        Contender("keel", consume: { Double(try graph.output(result)[flat: 0]) }, body: graph.run),
        Contender(
          "floor", consume: { floors.reduce(0) { $0 + $1.checksum() } },
          body: { for floor in floors { floor.run() } }),
      ], sampling: sampling)
    return LineResult(self, threads: threads, passes: passes, comparison)
  }

  /// Plans a pass; draws what is missing of its operands.
  private func planned(
    _ pass: NormalizationCase.Pass, _ operands: inout [String: Tensor], threads: Int
  ) throws -> PlannedGraph {
    let graph = try normalization.graph(pass)
    let shapes = NormalizationCase.inputShapes(of: graph)
    for (name, shape) in shapes where operands[name] == nil {
      operands[name] = Self.tensor(shape, seed: UInt64(name.utf8.reduce(0) { $0 * 31 + Int($1) }))
    }
    let inputs = operands.filter { shapes[$0.key] != nil }
    return try PlannedGraph(graph, inputs: inputs, threads: threads)
  }

  /// Random numbers, those of 1 MiB again and again: filling large tensors would take longer than
  /// measuring them.
  private static func tensor(_ shape: Shape, seed: UInt64) -> Tensor {
    var random = RandomSource(seed: seed)
    let count = shape.elementCount
    let pattern = Tensor(uniform: [min(count, 1 << 18)], from: -1, to: 3, using: &random).elements
    return Tensor(uninitialized: shape) { elements in
      for first in stride(from: 0, to: count, by: pattern.count) {
        for i in 0..<min(pattern.count, count - first) { elements[first + i] = pattern[i] }
      }
    }
  }
}
