import BenchmarkHarness

/// What was measured of one kernel at one size; one entry of `lines` in the JSON.
struct LineResult: Encodable {
  let line: String
  let mib: Int
  let threads: Int
  let minMs: Double
  let medianMs: Double
  /// The loop that only moves as many bytes.
  let floorMinMs: Double
  let floorMedianMs: Double
  /// Bytes that must move over the kernel's shortest time.
  let gbs: Double
  /// The kernel's time over the floor's.
  let overFloor: Ratio

  init(_ name: String, bytes: Int, threads: Int, moved: Double, _ comparison: Comparison) {
    let (keel, floor) = (comparison["keel"]!, comparison["floor"]!)
    line = name
    mib = bytes >> 20
    self.threads = threads
    minMs = keel.minimum * 1e3
    medianMs = keel.median * 1e3
    floorMinMs = floor.minimum * 1e3
    floorMedianMs = floor.median * 1e3
    gbs = moved / keel.minimum * 1e-9
    overFloor = comparison.ratio(of: "keel", over: "floor")!
  }
}

/// The whole run: the object of `--json`, and the text without it.
struct Report: Encodable {
  let machine: Machine
  let largeBytes: Int
  let rounds: Int
  let lines: [LineResult]

  /// The largest ratio to the floor, at the large and the small size.
  private func worst(_ isLarge: Bool) -> Double? {
    lines.filter { ($0.mib > 1) == isLarge }.map(\.overFloor.pairedMedian).max()
  }

  /// Head, table and the worst lines as text.
  var text: String {
    var table = Table([
      ("kernel", .left), ("MiB", .right), ("threads", .right), ("min ms", .right),
      ("med", .right), ("floor min", .right), ("med", .right), ("GB/s", .right),
      ("over floor min", .right), ("med", .right),
    ])
    for line in lines {
      table.add([
        line.line, "\(line.mib)", "\(line.threads)", fixed(line.minMs, 3), fixed(line.medianMs, 3),
        fixed(line.floorMinMs, 3), fixed(line.floorMedianMs, 3), fixed(line.gbs, 1),
        fixed(line.overFloor.ofMinima, 2), fixed(line.overFloor.pairedMedian, 2),
      ])
    }
    return """
      \(machine.summary)

      \(table.render())

      Floor: a loop that reads and stores as many bytes, side by side, on buffers of its own, in the
      same rounds. Over floor: of the minima, and the median over \(rounds) rounds.
      most over the floor, \(largeBytes >> 20) MiB:  \(fixed(worst(true), 2))
      most over the floor, 1 MiB:  \(fixed(worst(false), 2))
      """
  }
}
