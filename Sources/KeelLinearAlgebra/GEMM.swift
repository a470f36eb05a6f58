internal import KeelCBLAS

/// Multiplies two matrices: `C = alpha·op(A)·op(B) + beta·C`, for kernels' inner loops.
///
/// Row-major; op(A) is m×k, op(B) is k×n, C is m×n; a flag says that the matrix is stored transposed.
/// With `beta` 0, C is only written, whatever it held. Extents are narrowed with a check, everything
/// else is the caller's promise: leading dimensions of at least 1 and of a stored row, pointers that
/// reach over the last element, C apart from A and B. One load beyond the call of `cblas_sgemm`.
package func gemm(
  _ transposeA: Bool, _ transposeB: Bool, m: Int, n: Int, k: Int, alpha: Float,
  a: UnsafePointer<Float>, lda: Int, b: UnsafePointer<Float>, ldb: Int, beta: Float,
  c: UnsafeMutablePointer<Float>, ldc: Int
) {
  BLASThreads.claim()
  cblas_sgemm(
    CblasRowMajor, operation(transposeA), operation(transposeB), narrowed(m, "m"),
    narrowed(n, "n"), narrowed(k, "k"), alpha, a, narrowed(lda, "lda"), b, narrowed(ldb, "ldb"),
    beta, c, narrowed(ldc, "ldc"))
}

/// Multiplies two matrices of Double: as for Float, by `cblas_dgemm`.
package func gemm(
  _ transposeA: Bool, _ transposeB: Bool, m: Int, n: Int, k: Int, alpha: Double,
  a: UnsafePointer<Double>, lda: Int, b: UnsafePointer<Double>, ldb: Int, beta: Double,
  c: UnsafeMutablePointer<Double>, ldc: Int
) {
  BLASThreads.claim()
  cblas_dgemm(
    CblasRowMajor, operation(transposeA), operation(transposeB), narrowed(m, "m"),
    narrowed(n, "n"), narrowed(k, "k"), alpha, a, narrowed(lda, "lda"), b, narrowed(ldb, "ldb"),
    beta, c, narrowed(ldc, "ldc"))
}

/// Multiplies two matrices.
///
///     C = alpha·op(A)·op(B) + beta·C
///
/// op(A) is m×k, op(B) is k×n, C is m×n, all row-major; with `transposeA` A is stored as k×m, with
/// `transposeB` B as n×k. Leading dimensions are the distances between stored rows; nil means that
/// the rows follow each other. With `beta` 0, C is only written, whatever it held (NaN too). With k 0,
/// C is scaled by `beta`.
///
/// Cost: 2·m·n·k operations on one thread. Calls `cblas_sgemm` or `cblas_dgemm`. On cores with a
/// small-matrix path (`BLASInfo.hasSmallMatrixPath`) calls with m·n·k up to 10⁶ skip packing, unless
/// `transposeB` is set.
/// - Precondition: the spans hold their matrices.
public func gemm<Element: BLASElement>(
  _ transposeA: Bool = false, _ transposeB: Bool = false, m: Int, n: Int, k: Int,
  alpha: Element = 1, a: Span<Element>, lda: Int? = nil, b: Span<Element>, ldb: Int? = nil,
  beta: Element = 0, c: inout MutableSpan<Element>, ldc: Int? = nil
) {
  let (rowsA, columnsA) = transposeA ? (k, m) : (m, k)
  let (rowsB, columnsB) = transposeB ? (n, k) : (k, n)
  let lda = lda ?? max(1, columnsA)
  let ldb = ldb ?? max(1, columnsB)
  let ldc = ldc ?? max(1, n)
  checkMatrix("a", rows: rowsA, columns: columnsA, leading: lda, count: a.count)
  checkMatrix("b", rows: rowsB, columns: columnsB, leading: ldb, count: b.count)
  checkMatrix("c", rows: m, columns: n, leading: ldc, count: c.count)
  guard m > 0, n > 0 else { return }
  a.withUnsafeBufferPointer { a in
    b.withUnsafeBufferPointer { b in
      c.withUnsafeMutableBufferPointer { c in
        // C has an element, so its address exists; A and B are empty and unread when k is 0.
        let c = c.baseAddress!
        Element.unsafeGEMM(
          transposeA, transposeB, m: m, n: n, k: k, alpha: alpha, a: a.baseAddress ?? .init(c),
          lda: lda, b: b.baseAddress ?? .init(c), ldb: ldb, beta: beta, c: c, ldc: ldc)
      }
    }
  }
}

extension Float {
  /// `cblas_sgemm`, row-major.
  public static func unsafeGEMM(
    _ transposeA: Bool, _ transposeB: Bool, m: Int, n: Int, k: Int, alpha: Float,
    a: UnsafePointer<Float>, lda: Int, b: UnsafePointer<Float>, ldb: Int, beta: Float,
    c: UnsafeMutablePointer<Float>, ldc: Int
  ) {
    gemm(
      transposeA, transposeB, m: m, n: n, k: k, alpha: alpha, a: a, lda: lda, b: b, ldb: ldb,
      beta: beta, c: c, ldc: ldc)
  }
}

extension Double {
  /// `cblas_dgemm`, row-major.
  public static func unsafeGEMM(
    _ transposeA: Bool, _ transposeB: Bool, m: Int, n: Int, k: Int, alpha: Double,
    a: UnsafePointer<Double>, lda: Int, b: UnsafePointer<Double>, ldb: Int, beta: Double,
    c: UnsafeMutablePointer<Double>, ldc: Int
  ) {
    gemm(
      transposeA, transposeB, m: m, n: n, k: k, alpha: alpha, a: a, lda: lda, b: b, ldb: ldb,
      beta: beta, c: c, ldc: ldc)
  }
}

/// The CBLAS value of a transposition flag.
@inline(__always)
internal func operation(_ transposed: Bool) -> CBLAS_TRANSPOSE {
  transposed ? CblasTrans : CblasNoTrans
}
