internal import KeelCBLAS

/// Multiplies a matrix by its own transpose.
///
///     C = alpha·op(A)·op(A)ᵀ + beta·C
///
/// op(A) is n×k, C is n×n, both row-major; with `transposeA` A is stored as k×n, so that the
/// product is AᵀA: the co-moments of k rows of n channels. Only one triangle of C is read and
/// written; `mirror` fills the other. Leading dimensions are the distances between stored rows; nil
/// means that the rows follow each other. With `beta` 0 the triangle is only written.
///
/// Cost: n·(n+1)·k operations on one thread. Calls `cblas_ssyrk` or `cblas_dsyrk`.
/// - Precondition: the spans hold their matrices.
public func syrk<Element: BLASElement>(
  _ triangle: Triangle = .lower, _ transposeA: Bool = false, n: Int, k: Int, alpha: Element = 1,
  a: Span<Element>, lda: Int? = nil, beta: Element = 0, c: inout MutableSpan<Element>,
  ldc: Int? = nil
) {
  let (rowsA, columnsA) = transposeA ? (k, n) : (n, k)
  let lda = lda ?? max(1, columnsA)
  let ldc = ldc ?? max(1, n)
  checkMatrix("a", rows: rowsA, columns: columnsA, leading: lda, count: a.count)
  checkMatrix("c", rows: n, columns: n, leading: ldc, count: c.count)
  guard n > 0 else { return }
  a.withUnsafeBufferPointer { a in
    c.withUnsafeMutableBufferPointer { c in
      // C has an element, so its address exists; A is empty and unread when k is 0.
      let c = c.baseAddress!
      Element.unsafeSYRK(
        triangle, transposeA, n: n, k: k, alpha: alpha, a: a.baseAddress ?? .init(c), lda: lda,
        beta: beta, c: c, ldc: ldc)
    }
  }
}

/// Copies one triangle of a square row-major matrix to the other, so that the matrix is symmetric.
/// - Precondition: the span holds the matrix.
@inlinable
public func mirror<Element: BLASElement>(
  _ triangle: Triangle, n: Int, c: inout MutableSpan<Element>, ldc: Int? = nil
) {
  let ldc = ldc ?? max(1, n)
  checkMatrix("c", rows: n, columns: n, leading: ldc, count: c.count)
  guard n > 0 else { return }
  c.withUnsafeMutableBufferPointer { c in
    // Checked above: the matrix lies inside the buffer.
    let c = c.baseAddress!
    for row in 0..<n {
      for column in 0..<row {
        switch triangle {
        case .lower: c[column * ldc + row] = c[row * ldc + column]
        case .upper: c[row * ldc + column] = c[column * ldc + row]
        }
      }
    }
  }
}

extension Float {
  /// `cblas_ssyrk`, row-major.
  public static func unsafeSYRK(
    _ triangle: Triangle, _ transposeA: Bool, n: Int, k: Int, alpha: Float,
    a: UnsafePointer<Float>, lda: Int, beta: Float, c: UnsafeMutablePointer<Float>, ldc: Int
  ) {
    BLASThreads.claim()
    cblas_ssyrk(
      CblasRowMajor, triangle.cblas, operation(transposeA), narrowed(n, "n"), narrowed(k, "k"),
      alpha, a, narrowed(lda, "lda"), beta, c, narrowed(ldc, "ldc"))
  }
}

extension Double {
  /// `cblas_dsyrk`, row-major.
  public static func unsafeSYRK(
    _ triangle: Triangle, _ transposeA: Bool, n: Int, k: Int, alpha: Double,
    a: UnsafePointer<Double>, lda: Int, beta: Double, c: UnsafeMutablePointer<Double>, ldc: Int
  ) {
    BLASThreads.claim()
    cblas_dsyrk(
      CblasRowMajor, triangle.cblas, operation(transposeA), narrowed(n, "n"), narrowed(k, "k"),
      alpha, a, narrowed(lda, "lda"), beta, c, narrowed(ldc, "ldc"))
  }
}
