internal import KeelCBLAS

/// The side on which a triangular matrix stands.
public enum Side: String, Hashable, Sendable, CaseIterable {
  /// op(A)·X = alpha·B.
  case left
  /// X·op(A) = alpha·B.
  case right

  /// The CBLAS value.
  internal var cblas: CBLAS_SIDE { self == .left ? CblasLeft : CblasRight }
}

/// Solves a triangular system for many right-hand sides, in place.
///
///     left:  B ← alpha·op(A)⁻¹·B        right:  B ← alpha·B·op(A)⁻¹
///
/// B is m×n, A is m×m on the left and n×n on the right, both row-major; only the named triangle of A
/// is read, without its diagonal where `unitDiagonal` says that it is all ones. Leading dimensions
/// are the distances between stored rows; nil means that the rows follow each other.
///
/// A zero on the diagonal gives infinities and NaN, not an error: take A from `cholesky`, which
/// has none. Cost: m·n operations times the order of A, on one thread. Calls `cblas_strsm` or
/// `cblas_dtrsm`.
/// - Precondition: the spans hold their matrices.
public func trsm<Element: BLASElement>(
  _ side: Side, _ triangle: Triangle, _ transposeA: Bool = false, unitDiagonal: Bool = false,
  m: Int, n: Int, alpha: Element = 1, a: Span<Element>, lda: Int? = nil,
  b: inout MutableSpan<Element>, ldb: Int? = nil
) {
  let order = side == .left ? m : n
  let lda = lda ?? max(1, order)
  let ldb = ldb ?? max(1, n)
  checkMatrix("a", rows: order, columns: order, leading: lda, count: a.count)
  checkMatrix("b", rows: m, columns: n, leading: ldb, count: b.count)
  guard m > 0, n > 0 else { return }
  a.withUnsafeBufferPointer { a in
    b.withUnsafeMutableBufferPointer { b in
      // Checked above: both matrices have an element, so both addresses exist.
      Element.unsafeTRSM(
        side, triangle, transposeA, unitDiagonal: unitDiagonal, m: m, n: n, alpha: alpha,
        a: a.baseAddress!, lda: lda, b: b.baseAddress!, ldb: ldb)
    }
  }
}

extension Float {
  /// `cblas_strsm`, row-major.
  public static func unsafeTRSM(
    _ side: Side, _ triangle: Triangle, _ transposeA: Bool, unitDiagonal: Bool, m: Int, n: Int,
    alpha: Float, a: UnsafePointer<Float>, lda: Int, b: UnsafeMutablePointer<Float>, ldb: Int
  ) {
    BLASThreads.claim()
    cblas_strsm(
      CblasRowMajor, side.cblas, triangle.cblas, operation(transposeA),
      unitDiagonal ? CblasUnit : CblasNonUnit, narrowed(m, "m"), narrowed(n, "n"), alpha, a,
      narrowed(lda, "lda"), b, narrowed(ldb, "ldb"))
  }
}

extension Double {
  /// `cblas_dtrsm`, row-major.
  public static func unsafeTRSM(
    _ side: Side, _ triangle: Triangle, _ transposeA: Bool, unitDiagonal: Bool, m: Int, n: Int,
    alpha: Double, a: UnsafePointer<Double>, lda: Int, b: UnsafeMutablePointer<Double>, ldb: Int
  ) {
    BLASThreads.claim()
    cblas_dtrsm(
      CblasRowMajor, side.cblas, triangle.cblas, operation(transposeA),
      unitDiagonal ? CblasUnit : CblasNonUnit, narrowed(m, "m"), narrowed(n, "n"), alpha, a,
      narrowed(lda, "lda"), b, narrowed(ldb, "ldb"))
  }
}
