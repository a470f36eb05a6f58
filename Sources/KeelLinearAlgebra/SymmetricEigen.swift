internal import KeelCLAPACKE
public import KeelTensor

/// Scratch memory for `symmetricEigen`, to be kept and used again: the decomposition allocates none.
public struct EigenWorkspace<Element: BLASElement>: Sendable {
  /// The largest order that it serves.
  public let order: Int
  fileprivate var elements: [Element]
  fileprivate var integers: [keel_lapack_int]

  /// Makes scratch memory for matrices up to an order.
  ///
  /// `syevd` asks for 1 + 6n + 2n² elements; the back-transformation of the eigenvectors
  /// (`ormtr`) works in blocks of 32 columns only if it finds 32n + 64·65 more.
  public init(order: Int) {
    precondition(order >= 0, "order: expected at least 0, found \(order)")
    self.order = order
    elements = Array(repeating: 0, count: 1 + 38 * order + 2 * order * order + 64 * 65)
    integers = Array(repeating: 0, count: 3 + 5 * order)
  }
}

/// Decomposes a symmetric matrix into eigenvalues and orthonormal eigenvectors, in place.
///
///     A = Σⱼ values[j]·vⱼ·vⱼᵀ,   vⱼ = (a[j·lda + i]) over i
///
/// `a` holds one triangle of A, row-major of order n; the other triangle is not read. On return row j
/// of `a` is the eigenvector vⱼ of `values[j]`, and the values ascend. Nothing is promised on an
/// eigenvector's sign, nor on the basis of the space of a repeated eigenvalue.
///
/// The residual is a few units of rounding times the norm of A: take Double for covariances, which
/// was measured as fast as Float up to 128 channels. Calls `LAPACKE_dsyevd_work` or
/// `LAPACKE_ssyevd_work` on column-major data, on one thread.
/// - Throws: `KeelError` of kind `value` where the triangle holds a NaN or an infinity (`a` is
///   untouched then), of kind `numerical` where the iteration did not converge.
/// - Precondition: the spans hold n×n and n elements, and the workspace serves order n.
@inlinable
public func symmetricEigen<Element: BLASElement>(
  _ triangle: Triangle = .lower, n: Int, a: inout MutableSpan<Element>, lda: Int? = nil,
  values: inout MutableSpan<Element>, workspace: inout EigenWorkspace<Element>
) throws(KeelError) {
  let lda = lda ?? max(1, n)
  checkMatrix("a", rows: n, columns: n, leading: lda, count: a.count)
  precondition(values.count >= n, "values: expected at least \(n) elements, found \(values.count)")
  precondition(
    workspace.order >= n, "workspace: expected an order of at least \(n), found \(workspace.order)")
  guard n > 0 else { return }
  try a.withUnsafeMutableBufferPointer { (a) throws(KeelError) in
    try values.withUnsafeMutableBufferPointer { (values) throws(KeelError) in
      // Checked above: both have an element, so both addresses exist.
      let (a, values) = (a.baseAddress!, values.baseAddress!)
      try checkFinite("symmetric eigendecomposition", triangle, n: n, a: a, lda: lda)
      let info = Element.unsafeSYEVD(
        triangle, n: n, a: a, lda: lda, values: values, workspace: &workspace)
      precondition(info >= 0, "syevd: argument \(-info) is not valid")
      guard info == 0 else {
        throw KeelError(
          .numerical, at: "symmetric eigendecomposition", expected: "convergence at order \(n)",
          found: "failure \(info) of the iteration")
      }
    }
  }
}

extension Float {
  /// `LAPACKE_ssyevd_work`, column-major.
  public static func unsafeSYEVD(
    _ triangle: Triangle, n: Int, a: UnsafeMutablePointer<Float>, lda: Int,
    values: UnsafeMutablePointer<Float>, workspace: inout EigenWorkspace<Float>
  ) -> Int {
    BLASThreads.claim()
    let elementCount: keel_lapack_int = narrowed(workspace.elements.count, "workspace elements")
    let integerCount: keel_lapack_int = narrowed(workspace.integers.count, "workspace integers")
    return Int(
      LAPACKE_ssyevd_work(
        LAPACK_COL_MAJOR, CChar(bitPattern: UInt8(ascii: "V")), triangle.columnMajorLetter,
        narrowed(n, "n"), a, narrowed(lda, "lda"), values, &workspace.elements, elementCount,
        &workspace.integers, integerCount))
  }
}

extension Double {
  /// `LAPACKE_dsyevd_work`, column-major.
  public static func unsafeSYEVD(
    _ triangle: Triangle, n: Int, a: UnsafeMutablePointer<Double>, lda: Int,
    values: UnsafeMutablePointer<Double>, workspace: inout EigenWorkspace<Double>
  ) -> Int {
    BLASThreads.claim()
    let elementCount: keel_lapack_int = narrowed(workspace.elements.count, "workspace elements")
    let integerCount: keel_lapack_int = narrowed(workspace.integers.count, "workspace integers")
    return Int(
      LAPACKE_dsyevd_work(
        LAPACK_COL_MAJOR, CChar(bitPattern: UInt8(ascii: "V")), triangle.columnMajorLetter,
        narrowed(n, "n"), a, narrowed(lda, "lda"), values, &workspace.elements, elementCount,
        &workspace.integers, integerCount))
  }
}
