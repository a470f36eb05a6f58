internal import KeelCLAPACKE
public import KeelTensor

/// Factors a symmetric positive definite matrix, in place.
///
///     lower: A = L·Lᵀ        upper: A = Uᵀ·U
///
/// `a` holds one triangle of A, row-major of order n, and on return the factor in the same triangle;
/// the other triangle is neither read nor written.
///
/// Cost: n³/3 operations on one thread. Calls `LAPACKE_dpotrf_work` or `LAPACKE_spotrf_work`.
/// - Throws: `KeelError` of kind `value` where the triangle holds a NaN or an infinity (`a` is
///   untouched then), of kind `numerical` where A is not positive definite: the error names the
///   order of the first leading minor that is not, and `a` is left half factored.
/// - Precondition: the span holds the matrix.
@inlinable
public func cholesky<Element: BLASElement>(
  _ triangle: Triangle = .lower, n: Int, a: inout MutableSpan<Element>, lda: Int? = nil
) throws(KeelError) {
  let lda = lda ?? max(1, n)
  checkMatrix("a", rows: n, columns: n, leading: lda, count: a.count)
  guard n > 0 else { return }
  try a.withUnsafeMutableBufferPointer { (a) throws(KeelError) in
    // Checked above: A has an element, so its address exists.
    let a = a.baseAddress!
    try checkFinite("Cholesky factorization", triangle, n: n, a: a, lda: lda)
    let info = Element.unsafePOTRF(triangle, n: n, a: a, lda: lda)
    precondition(info >= 0, "potrf: argument \(-info) is not valid")
    guard info == 0 else {
      throw KeelError(
        .numerical, at: "Cholesky factorization",
        expected: "a positive definite matrix of order \(n)",
        found: "a leading minor of order \(info) that is not positive definite")
    }
  }
}

extension Float {
  /// `LAPACKE_spotrf_work` on the row-major triangle.
  public static func unsafePOTRF(
    _ triangle: Triangle, n: Int, a: UnsafeMutablePointer<Float>, lda: Int
  ) -> Int {
    BLASThreads.claim()
    return Int(
      LAPACKE_spotrf_work(
        LAPACK_COL_MAJOR, triangle.columnMajorLetter, narrowed(n, "n"), a, narrowed(lda, "lda")))
  }
}

extension Double {
  /// `LAPACKE_dpotrf_work` on the row-major triangle.
  public static func unsafePOTRF(
    _ triangle: Triangle, n: Int, a: UnsafeMutablePointer<Double>, lda: Int
  ) -> Int {
    BLASThreads.claim()
    return Int(
      LAPACKE_dpotrf_work(
        LAPACK_COL_MAJOR, triangle.columnMajorLetter, narrowed(n, "n"), a, narrowed(lda, "lda")))
  }
}
