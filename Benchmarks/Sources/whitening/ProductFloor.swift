import BenchmarkHarness
import Keel

/// The products of a whitening by OpenBLAS, block by block on operands of x's shape, and nothing else.
///
/// Of M rows and a block of d channels, x and dy being M×d with C floats from row to row: Σ by SYRK (n = d,
/// k = M); y = x·W by GEMM (m = M, n = k = d); in training dW = dyᵀ·x (m = n = d, k = M) and
/// dx = dy·Wᵀ + x·G (twice m = M, n = k = d). A transfer has the SYRK and the last product of its style too.
/// Each thread has its share of the rows.
final class ProductFloor {
  /// Of a run; a SYRK makes one triangle.
  let multiplyAdds: Int
  private let threads: Int
  private let rows: Int
  private let channels: Int
  private let size: Int
  private let syrks: Int
  private let weightProducts: Int
  private let maps: Int
  private let operands: Operands

  /// Memory that threads read, and write each in its own rows and matrices.
  ///
  /// Unchecked: it holds raw pointers; `run` states who writes what.
  private struct Operands: @unchecked Sendable {
    let x: UnsafeMutablePointer<Float>, dy: UnsafeMutablePointer<Float>
    let y: UnsafeMutablePointer<Float>
    /// For each thread two matrices.
    let matrices: UnsafeMutablePointer<Float>
  }

  init(_ whitening: WhiteningCase, trains: Bool, threads: Int) {
    self.threads = threads
    channels = whitening.shape[whitening.shape.rank - 1]
    rows = whitening.shape.elementCount / channels
    size = whitening.blockSize
    let isTransfer = whitening.method == .transfer
    syrks = isTransfer ? 2 : 1
    weightProducts = trains ? 1 : 0
    maps = trains ? (isTransfer ? 4 : 3) : 1
    multiplyAdds =
      rows * channels * (syrks * (size + 1) + 2 * (weightProducts + maps) * size) / 2
    var random = RandomSource(seed: 4)
    func filled(_ count: Int) -> UnsafeMutablePointer<Float> {
      let memory = UnsafeMutablePointer<Float>.allocate(capacity: count)
      for i in 0..<count { (memory + i).initialize(to: Float(random.uniform() - 0.5)) }
      return memory
    }
    operands = Operands(
      x: filled(rows * channels), dy: filled(rows * channels), y: filled(rows * channels),
      matrices: filled(threads * 2 * size * size))
  }

  deinit {
    for memory in [operands.x, operands.dy, operands.y, operands.matrices] { memory.deallocate() }
  }

  /// Computes all products once.
  func run() {
    let (operands, rows, channels, size) = (operands, rows, channels, size)
    let (threads, syrks, weightProducts, maps) = (threads, syrks, weightProducts, maps)
    _ = timeTogether(threads: threads) { part in
      let first = part * rows / threads
      let count = (part + 1) * rows / threads - first
      let own = operands.matrices + part * 2 * size * size
      for column in stride(from: 0, to: channels, by: size) {
        let start = first * channels + column
        let (x, dy, y) = (operands.x + start, operands.dy + start, operands.y + start)
        for _ in 0..<syrks {
          Float.unsafeSYRK(
            .lower, true, n: size, k: count, alpha: 1e-6, a: x, lda: channels, beta: 0, c: own,
            ldc: size)
        }
        for _ in 0..<weightProducts {
          Float.unsafeGEMM(
            true, false, m: size, n: size, k: count, alpha: 1e-6, a: dy, lda: channels, b: x,
            ldb: channels, beta: 0, c: own + size * size, ldc: size)
        }
        for map in 0..<maps {
          Float.unsafeGEMM(
            false, false, m: count, n: size, k: size, alpha: 1, a: map == 1 ? dy : x,
            lda: channels, b: own, ldb: size, beta: map == 2 ? 1 : 0, c: y, ldc: channels)
        }
      }
    }
  }

  /// One number from the results.
  func checksum() -> Double {
    Double(operands.y[0]) + Double(operands.y[rows * channels - 1]) + Double(operands.matrices[0])
  }
}
