internal import CKeelLoops
internal import KeelLinearAlgebra

/// How a product C[rows×n] = A[rows×k]·B[k×n] is cut into GEMM calls.
///
/// OpenBLAS's AVX-512 builds have a path without packing for m·n·k ≤ 10⁶. Calls cut to that size keep
/// all of B's block in the cache and ran at 90–95 % of peak where single calls with few rows ran at
/// half of it. Elsewhere each call packs both operands, so calls are as large as their tile allows.
/// The cut depends on the product's extents and the build of OpenBLAS only, never on the number of
/// threads.
package struct ProductBlocking: Hashable, Sendable {
  /// Columns of a panel of B: each panel is stored as k rows of this many floats.
  package let panelWidth: Int
  /// Rows of B that one call takes.
  package let depth: Int
  /// The rows of A and C that one task should take.
  package let rows: Int

  /// The largest m·n·k of OpenBLAS's path without packing.
  package static let smallProduct = 1_000_000

  package init(n: Int, k: Int, smallPath: Bool = BLASInfo.hasSmallMatrixPath) {
    if smallPath {
      panelWidth = Self.evenPart(of: n, atMost: 64, multiple: 16)
      depth = Self.evenPart(of: k, atMost: 384, multiple: 8)
      let fitting = Self.smallProduct / (panelWidth * depth)
      rows = max(8, min(fitting, 256) / 8 * 8)
    } else {
      panelWidth = Self.evenPart(of: n, atMost: 512, multiple: 16)
      depth = k
      rows = 192
    }
  }

  /// The largest size of equal parts that cut `total` into pieces of at most `limit`, rounded up to a
  /// multiple.
  package static func evenPart(of total: Int, atMost limit: Int, multiple: Int) -> Int {
    let parts = (total + limit - 1) / limit
    let size = (total + parts - 1) / parts
    return min(total, (size + multiple - 1) / multiple * multiple)
  }
}

/// A product with a packed right operand: B is stored panel after panel, each panel k×width.
internal struct PackedProduct: Sendable {
  let n: Int
  let k: Int
  let blocking: ProductBlocking

  init(n: Int, k: Int, blocking: ProductBlocking? = nil) {
    self.n = n
    self.k = k
    self.blocking = blocking ?? ProductBlocking(n: n, k: k)
  }

  /// The floats of a packed B.
  var packedCount: Int { n * k }

  /// The number of panels.
  var panelCount: Int { (n + blocking.panelWidth - 1) / blocking.panelWidth }

  /// The columns of a panel.
  func columns(ofPanel panel: Int) -> Range<Int> {
    let first = panel * blocking.panelWidth
    return first..<min(first + blocking.panelWidth, n)
  }

  /// Products of so few rows are Keel's own loop: OpenBLAS would pack the weight for each of them, or run
  /// its kernels half empty.
  static let fewRows = 16

  /// C[rows × columns of some panels] = A·B. M is `rows`, N a panel's width, K a block of the depth.
  ///
  /// `c` points at column 0 of the product's first row; rows of C lie `ldc` floats apart.
  func multiply(
    rows: Int, a: UnsafePointer<Float>, lda: Int, packed b: UnsafePointer<Float>,
    c: UnsafeMutablePointer<Float>, ldc: Int, panels: Range<Int>
  ) {
    for panel in panels {
      let columns = columns(ofPanel: panel)
      let width = columns.count
      let block = b + columns.lowerBound * k
      if rows <= Self.fewRows {
        loops.fewRows(c + columns.lowerBound, ldc, a, lda, block, rows, width, k)
        continue
      }
      var done = 0
      while done < k {
        let depth = min(blocking.depth, k - done)
        gemm(
          false, false, m: rows, n: width, k: depth, alpha: 1, a: a + done, lda: lda,
          b: block + done * width, ldb: width, beta: done == 0 ? 0 : 1, c: c + columns.lowerBound,
          ldc: ldc)
        done += depth
      }
    }
  }
}
