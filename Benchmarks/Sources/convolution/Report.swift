import BenchmarkHarness

/// The whole run: the object of `--json`, and the text without it.
struct Report {
  let machine: Machine
  let peaks: Peaks
  let rounds: Int
  let shapes: [ShapeResult]

  /// Puts a run together.
  init(machine: Machine, peaks: Peaks, rounds: Int, shapes: [ShapeResult]) {
    self.machine = machine
    self.peaks = peaks
    self.rounds = rounds
    self.shapes = shapes.map {
      var shape = $0
      shape.relate(to: peaks.allThreads.fmaGflops)
      return shape
    }
  }

  /// The geometric mean of fused over convolution, from minima, where K is at least 256.
  var fusedOverConvolution: Double? {
    geometricMean(shapes.filter(\.countsForFusion).map(\.fusedOverConvolution.ofMinima))
  }

  /// The geometric mean of GEMM over convolution, from minima, of dense 3×3 and 1×1 shapes.
  var gemmFraction: Double? {
    geometricMean(shapes.filter(\.countsForGemm).compactMap(\.gemmFraction?.ofMinima))
  }

  /// Head, table and means as text.
  var text: String {
    """
    \(machine.summary)
    \(peakText)

    \(table)

    GFLOP/s count the direct method's operations, so Winograd can pass the peak. f/c: fused over
    convolution, of the minima and the median over rounds; g/c: one GEMM of the same size over
    convolution, above 1 the convolution is faster. Times in ms over \(rounds) rounds.
    geometric mean of f/c, K >= 256:            \(fixed(fusedOverConvolution, 4))
    geometric mean of g/c, dense 3x3 and 1x1:   \(fixed(gemmFraction, 4))
    """
  }

  private var peakText: String {
    var table = Table([
      ("peaks", .left), ("GFLOP/s", .right), ("read GB/s", .right), ("copy", .right),
      ("add", .right), ("fill", .right),
    ])
    let several = peaks.allThreads.threads > 1
    for rate in [peaks.oneThread] + (several ? [peaks.allThreads] : []) {
      table.add(
        ["\(peaks.level), \(rate.threads) " + (rate.threads == 1 ? "thread" : "threads")]
          + [rate.fmaGflops, rate.readGbs, rate.copyGbs, rate.addGbs, rate.fillGbs].map {
            fixed($0, 1)
          })
    }
    return table.render()
  }

  private var table: String {
    let times = Name.allCases.flatMap { name in
      [("\(name) min", Table.Alignment.right), ("med", .right)]
    }
    var table = Table(
      [("shape", .left), ("K", .right)] + times + [
        ("GFLOP/s", .right), ("of peak", .right), ("f/c min", .right), ("med", .right),
        ("g/c min", .right),
      ])
    for shape in shapes {
      let times = Name.allCases.flatMap { name in
        let times = shape.times[name.rawValue]
        return [fixed(times?.minMs, 3), fixed(times?.medianMs, 3)]
      }
      table.add(
        [shape.line, "\(shape.k)"] + times + [
          fixed(shape.convolutionGflops, 1), fixed(shape.peakFraction, 2),
          fixed(shape.fusedOverConvolution.ofMinima, 3),
          fixed(shape.fusedOverConvolution.pairedMedian, 3),
          fixed(shape.gemmFraction?.ofMinima, 3),
        ])
    }
    return table.render()
  }
}

extension Report: Encodable {
  private enum CodingKeys: CodingKey {
    case machine, peaks, rounds, shapes, fusedOverConvolutionGeomean, gemmFractionGeomean
  }

  /// Writes the means as null, not left out, where no shape counts.
  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(machine, forKey: .machine)
    try container.encode(peaks, forKey: .peaks)
    try container.encode(rounds, forKey: .rounds)
    try container.encode(shapes, forKey: .shapes)
    try container.encode(fusedOverConvolution, forKey: .fusedOverConvolutionGeomean)
    try container.encode(gemmFraction, forKey: .gemmFractionGeomean)
  }
}
