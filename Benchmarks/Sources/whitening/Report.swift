import BenchmarkHarness
import Keel

/// What was measured of one order and count; one entry of `eigen` in the JSON.
struct EigenResult: Encodable {
  let order: Int
  let count: Int
  let threads: Int
  let jacobiMinMicroseconds: Double
  let jacobiMedianMicroseconds: Double
  let lapackMinMicroseconds: Double
  let lapackMedianMicroseconds: Double
  /// LAPACKE's time over that of Jacobi rotations.
  let lapackOverJacobi: Ratio
  /// The method that Keel takes.
  let chosen: String

  init(_ line: EigenLine, threads: Int, _ comparison: Comparison) {
    let jacobi = comparison[EigenBatch.Method.jacobi.rawValue]!
    let lapack = comparison[EigenBatch.Method.lapack.rawValue]!
    order = line.order
    count = line.count
    self.threads = threads
    jacobiMinMicroseconds = jacobi.minimum * 1e6
    jacobiMedianMicroseconds = jacobi.median * 1e6
    lapackMinMicroseconds = lapack.minimum * 1e6
    lapackMedianMicroseconds = lapack.median * 1e6
    lapackOverJacobi = comparison.ratio(of: lapack.name, over: jacobi.name)!
    chosen = EigenBatch(order: line.order, count: line.count).method.rawValue
  }
}

/// What was measured of one pass of one whitening; one entry of `whitening` in the JSON.
struct WhiteningResult: Encodable {
  let line: String
  let threads: Int
  let minMilliseconds: Double
  let medianMilliseconds: Double
  /// OpenBLAS's products alone.
  let floorMinMilliseconds: Double
  let floorMedianMilliseconds: Double
  /// The speed of the products alone, of their minimum.
  let floorGigaflops: Double
  /// Keel's time over the floor's.
  let overFloor: Ratio

  init(_ line: WhiteningLine, threads: Int, multiplyAdds: Int, _ comparison: Comparison) {
    let keel = comparison["keel"]!
    let floor = comparison["floor"]!
    self.line = line.name
    self.threads = threads
    minMilliseconds = keel.minimum * 1e3
    medianMilliseconds = keel.median * 1e3
    floorMinMilliseconds = floor.minimum * 1e3
    floorMedianMilliseconds = floor.median * 1e3
    floorGigaflops = 2e-9 * Double(multiplyAdds) / floor.minimum
    overFloor = comparison.ratio(of: keel.name, over: floor.name)!
  }
}

/// The whole run: the object of `--json`, and the text without it.
struct Report: Encodable {
  let machine: Machine
  let rounds: Int
  let largestJacobiOrder: Int
  var eigen: [EigenResult] = []
  var whitening: [WhiteningResult] = []

  /// Head and tables as text.
  var text: String {
    var parts = [machine.summary]
    if !eigen.isEmpty {
      parts += [
        eigenTable,
        """
        Eigendecompositions in Double, µs for all matrices of a line. The method depends on the order alone, so
        that a matrix's result does not depend on how many there are: Jacobi rotations up to \(largestJacobiOrder).
        """,
      ]
    }
    if !whitening.isEmpty {
      parts += [
        whiteningTable,
        """
        Floor: the same pass's products and covariances by OpenBLAS's GEMM and SYRK on x where it lies, and nothing
        else, in the same rounds. Over floor: of the minima, and the median over \(rounds) rounds.
        """,
      ]
    }
    return parts.joined(separator: "\n\n")
  }

  private var whiteningTable: String {
    var table = Table([
      ("whitening", .left), ("min ms", .right), ("med", .right), ("floor min", .right),
      ("med", .right), ("GFLOP/s", .right), ("over floor min", .right), ("med", .right),
    ])
    for line in whitening {
      table.add([
        line.line, fixed(line.minMilliseconds, 3), fixed(line.medianMilliseconds, 3),
        fixed(line.floorMinMilliseconds, 3), fixed(line.floorMedianMilliseconds, 3),
        fixed(line.floorGigaflops, 1), fixed(line.overFloor.ofMinima, 2),
        fixed(line.overFloor.pairedMedian, 2),
      ])
    }
    return table.render()
  }

  private var eigenTable: String {
    var table = Table([
      ("order", .right), ("matrices", .right), ("Jacobi min", .right), ("med", .right),
      ("LAPACKE min", .right), ("med", .right), ("LAPACKE/Jacobi min", .right), ("med", .right),
      ("Keel takes", .left),
    ])
    for line in eigen {
      table.add([
        "\(line.order)", "\(line.count)", fixed(line.jacobiMinMicroseconds, 1),
        fixed(line.jacobiMedianMicroseconds, 1), fixed(line.lapackMinMicroseconds, 1),
        fixed(line.lapackMedianMicroseconds, 1), fixed(line.lapackOverJacobi.ofMinima, 2),
        fixed(line.lapackOverJacobi.pairedMedian, 2), line.chosen,
      ])
    }
    return table.render()
  }
}
