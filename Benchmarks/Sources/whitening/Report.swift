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

/// The whole run: the object of `--json`, and the text without it.
struct Report: Encodable {
  let machine: Machine
  let rounds: Int
  let largestJacobiOrder: Int
  let eigen: [EigenResult]

  /// Head and tables as text.
  var text: String {
    """
    \(machine.summary)

    \(eigenTable)

    Eigendecompositions in Double, µs for all matrices of a line. The method depends on the order alone, so
    that a matrix's result does not depend on how many there are: Jacobi rotations up to \(largestJacobiOrder).
    """
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
