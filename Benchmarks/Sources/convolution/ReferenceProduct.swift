import BenchmarkHarness
import Keel

/// The one matrix product that has a dense convolution's size, as OpenBLAS does it by itself: the
/// yardstick for the convolution's speed.
///
/// C = A·B with A of M×K, B of K×N: not transposed, the form that OpenBLAS is fastest in.
final class ReferenceProduct {
  private let m: Int, n: Int, k: Int
  private let threads: Int
  private let a: Tensor, b: Tensor
  private var c: Tensor

  /// Makes the operands of a shape.
  init(_ data: ShapeData, threads: Int) {
    (m, n, k) = (data.shape.rows, data.shape.columns, data.shape.depth)
    self.threads = threads
    var random = RandomSource(seed: 11)
    a =
      data.shape.geometry.isPointwise
      ? data.input : Tensor(uniform: [m, k], from: -1, using: &random)
    let reach = (3 / Double(k)).squareRoot()
    b = Tensor(uniform: [k, n], from: -reach, to: reach, using: &random)
    c = Tensor(zeros: [m, n])
  }

  /// Multiplies as often as told, with OpenBLAS's own threads.
  func run(repetitions: Int) {
    BLASThreads.withThreads(threads) {
      a.withSpan { a in
        b.withSpan { b in
          c.withMutableSpan { c in
            for _ in 0..<repetitions { gemm(m: m, n: n, k: k, a: a, b: b, c: &c) }
          }
        }
      }
    }
  }

  /// Multiplies once and compares a spread of elements with sums in Double.
  /// - Throws: `Mismatch` past the tolerance.
  func check(line: String) throws {
    run(repetitions: 1)
    let bound = Checks.tolerance(depth: k)
    for (row, column) in [(0, 0), (m / 2, n / 3), (m / 3, n / 2), (m - 1, n - 1)] {
      var expected = 0.0
      for i in 0..<k { expected += Double(a[flat: row * k + i]) * Double(b[flat: i * n + column]) }
      let found = Double(c[flat: row * n + column])
      guard abs(found - expected) <= bound * max(1, abs(expected)) else {
        throw Mismatch(
          description: "\(line): row \(row), column \(column) of the reference product is"
            + " \(found), expected \(expected)")
      }
    }
  }

  /// One number from all of the result.
  func checksum() -> Double { sum(c) }
}
