import BenchmarkHarness
import Keel

/// What was measured of one pass; one entry of `lines` in the JSON.
struct LineResult: Encodable {
  let line: String
  let method: String
  let form: String
  let pass: String
  let extents: [Int]
  let isLarge: Bool
  let threads: Int
  let minMs: Double
  let medianMs: Double
  /// The loops that only move as many bytes.
  let floorMinMs: Double
  let floorMedianMs: Double
  /// The bytes that must move.
  let bytes: Int
  /// Those over the pass's shortest time.
  let gbs: Double
  /// The pass's time over the floor's.
  let overFloor: Ratio

  init(
    _ line: NormalizationLine, threads: Int, passes: [MemoryPass], _ comparison: Comparison
  ) {
    let (keel, floor) = (comparison["keel"]!, comparison["floor"]!)
    self.line = line.name
    method = line.normalization.method.rawValue
    form = line.normalization.form.rawValue
    pass = line.pass.rawValue
    extents = line.normalization.shape.extents
    isLarge = line.isLarge
    self.threads = threads
    minMs = keel.minimum * 1e3
    medianMs = keel.median * 1e3
    floorMinMs = floor.minimum * 1e3
    floorMedianMs = floor.median * 1e3
    bytes = passes.reduce(0) { $0 + 4 * ($1.reads + $1.writes) }
    gbs = Double(bytes) / keel.minimum * 1e-9
    overFloor = comparison.ratio(of: "keel", over: "floor")!
  }
}

/// The whole run: the object of `--json`, and the text without it.
struct Report: Encodable {
  let machine: Machine
  let secondLevelBytes: Int
  let largeBytes: Int
  let rounds: Int
  let lines: [LineResult]

  /// Geometric mean and largest of the ratios to the floor.
  private func summary(_ isLarge: Bool) -> String {
    let chosen = lines.filter { $0.isLarge == isLarge }
    guard let worst = chosen.max(by: { $0.overFloor.ofMinima < $1.overFloor.ofMinima }) else {
      return "-"
    }
    let over = chosen.count { $0.overFloor.ofMinima > 1.25 }
    let paired = geometricMean(chosen.map(\.overFloor.pairedMedian))
    return "mean \(fixed(geometricMean(chosen.map(\.overFloor.ofMinima)), 2)) (paired"
      + " \(fixed(paired, 2))), most \(fixed(worst.overFloor.ofMinima, 2)) (\(worst.line)),"
      + " above 1.25: \(over) of \(chosen.count)"
  }

  /// Head, table and summary as text.
  var text: String {
    var table = Table([
      ("normalization", .left), ("min ms", .right), ("med", .right), ("floor min", .right),
      ("med", .right), ("GB/s", .right), ("over floor min", .right), ("med", .right),
    ])
    for line in lines {
      table.add([
        line.line, fixed(line.minMs, 3), fixed(line.medianMs, 3), fixed(line.floorMinMs, 3),
        fixed(line.floorMedianMs, 3), fixed(line.gbs, 1), fixed(line.overFloor.ofMinima, 2),
        fixed(line.overFloor.pairedMedian, 2),
      ])
    }
    return """
      \(machine.summary)

      \(table.render())

      Floor: loops that read and store the bytes that must move, side by side, on buffers of their own, in
      the same rounds; where a sample's operands stay in \(secondLevelBytes >> 10) KiB, each once. Over floor:
      of the minima, and the median over \(rounds) rounds.
      the shapes:  \(summary(false))
      large, \(largeBytes >> 20) MiB a tensor:  \(summary(true))
      """
  }
}
