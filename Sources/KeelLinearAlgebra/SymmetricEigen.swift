internal import KeelCLAPACKE
public import KeelTensor

/// Scratch memory for `symmetricEigen`, to be kept and used again: the decomposition allocates none.
public struct EigenWorkspace<Element: BLASElement>: Sendable {
  /// The largest order that it serves.
  public let order: Int
  @usableFromInline internal var elements: [Element]

  /// Makes scratch memory for matrices up to an order.
  public init(order: Int) {
    precondition(order >= 0, "order: expected at least 0, found \(order)")
    self.order = order
    elements = Array(repeating: 0, count: Self.elementCount(order: order))
  }

  /// The elements of the scratch memory of `unsafeSYEVD`: its own, then those that hold its integers.
  package static func elementCount(order: Int) -> Int {
    let bytes = integerCount(order: order) * MemoryLayout<keel_lapack_int>.stride
    let stride = MemoryLayout<Element>.stride
    return ownCount(order: order) + (bytes + stride - 1) / stride
  }

  /// `syevd` asks for 1 + 6n + 2n² elements; the back-transformation of the eigenvectors (`ormtr`) works in
  /// blocks of 32 columns only if it finds 32n + 64·65 more. An even number, so that integers of 8 bytes
  /// may follow floats.
  fileprivate static func ownCount(order: Int) -> Int {
    (2 + 38 * order + 2 * order * order + 64 * 65) & ~1
  }

  /// The integers that `syevd` asks for.
  fileprivate static func integerCount(order: Int) -> Int { 3 + 5 * order }
}

/// Decomposes a symmetric matrix into eigenvalues and orthonormal eigenvectors, in place.
///
///     A = Σⱼ values[j]·vⱼ·vⱼᵀ,   vⱼ = (a[j·lda + i]) over i
///
/// `a` holds one triangle of A, row-major of order n; the other triangle is not read. On return row j
/// of `a` is the eigenvector vⱼ of `values[j]`, and the values ascend. An eigenvector's largest component,
/// the first of equals, is positive; nothing is promised on the basis of the space of a repeated eigenvalue.
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
        triangle, n: n, a: a, lda: lda, values: values, workspace: &workspace.elements)
      precondition(info >= 0, "syevd: argument \(-info) is not valid")
      guard info == 0 else {
        throw KeelError(
          .numerical, at: "symmetric eigendecomposition", expected: "convergence at order \(n)",
          found: "failure \(info) of the iteration")
      }
      orientRows(n: n, a: a, lda: lda)
    }
  }
}

/// Turns the rows of a square matrix so that the largest component of each, the first of equals, is positive.
@inlinable
package func orientRows<Element: BLASElement>(
  n: Int, a: UnsafeMutablePointer<Element>, lda: Int
) {
  for row in 0..<n {
    let row = a + row * lda
    var largest: Element = 0
    for column in 0..<n where abs(row[column]) > abs(largest) { largest = row[column] }
    guard largest < 0 else { continue }
    for column in 0..<n { row[column] = -row[column] }
  }
}

extension Float {
  /// `LAPACKE_ssyevd_work`, column-major.
  public static func unsafeSYEVD(
    _ triangle: Triangle, n: Int, a: UnsafeMutablePointer<Float>, lda: Int,
    values: UnsafeMutablePointer<Float>, workspace: UnsafeMutablePointer<Float>
  ) -> Int {
    BLASThreads.claim()
    let count = EigenWorkspace<Float>.ownCount(order: n)
    let integerCount = EigenWorkspace<Float>.integerCount(order: n)
    // The workspace is that of `elementCount`: room for the integers follows the elements.
    let integers = UnsafeMutableRawPointer(workspace + count).bindMemory(
      to: keel_lapack_int.self, capacity: integerCount)
    return Int(
      LAPACKE_ssyevd_work(
        LAPACK_COL_MAJOR, CChar(bitPattern: UInt8(ascii: "V")), triangle.columnMajorLetter,
        narrowed(n, "n"), a, narrowed(lda, "lda"), values, workspace,
        narrowed(count, "workspace elements"), integers, narrowed(integerCount, "integers")))
  }
}

extension Double {
  /// `LAPACKE_dsyevd_work`, column-major.
  public static func unsafeSYEVD(
    _ triangle: Triangle, n: Int, a: UnsafeMutablePointer<Double>, lda: Int,
    values: UnsafeMutablePointer<Double>, workspace: UnsafeMutablePointer<Double>
  ) -> Int {
    BLASThreads.claim()
    let count = EigenWorkspace<Double>.ownCount(order: n)
    let integerCount = EigenWorkspace<Double>.integerCount(order: n)
    // The workspace is that of `elementCount`: room for the integers follows the elements.
    let integers = UnsafeMutableRawPointer(workspace + count).bindMemory(
      to: keel_lapack_int.self, capacity: integerCount)
    return Int(
      LAPACKE_dsyevd_work(
        LAPACK_COL_MAJOR, CChar(bitPattern: UInt8(ascii: "V")), triangle.columnMajorLetter,
        narrowed(n, "n"), a, narrowed(lda, "lda"), values, workspace,
        narrowed(count, "workspace elements"), integers, narrowed(integerCount, "integers")))
  }
}
