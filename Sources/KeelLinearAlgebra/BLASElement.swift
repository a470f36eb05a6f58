internal import KeelCBLAS
public import KeelTensor

/// The element types that BLAS and LAPACK compute with in Keel: Float and Double.
///
/// The requirements are the routines on pointers, unchecked; call the functions on spans instead.
public protocol BLASElement: ArrayElement, BinaryFloatingPoint {
  /// `gemm` on pointers, row-major.
  static func unsafeGEMM(
    _ transposeA: Bool, _ transposeB: Bool, m: Int, n: Int, k: Int, alpha: Self,
    a: UnsafePointer<Self>, lda: Int, b: UnsafePointer<Self>, ldb: Int, beta: Self,
    c: UnsafeMutablePointer<Self>, ldc: Int)

  /// `syrk` on pointers, row-major.
  static func unsafeSYRK(
    _ triangle: Triangle, _ transposeA: Bool, n: Int, k: Int, alpha: Self,
    a: UnsafePointer<Self>, lda: Int, beta: Self, c: UnsafeMutablePointer<Self>, ldc: Int)

  /// `trsm` on pointers, row-major.
  static func unsafeTRSM(
    _ side: Side, _ triangle: Triangle, _ transposeA: Bool, unitDiagonal: Bool, m: Int, n: Int,
    alpha: Self, a: UnsafePointer<Self>, lda: Int, b: UnsafeMutablePointer<Self>, ldb: Int)

  /// `syevd` on pointers: reads the row-major triangle, leaves eigenvector j in row j; its `info`. The
  /// workspace has as many elements as an `EigenWorkspace` of order n.
  static func unsafeSYEVD(
    _ triangle: Triangle, n: Int, a: UnsafeMutablePointer<Self>, lda: Int,
    values: UnsafeMutablePointer<Self>, workspace: UnsafeMutablePointer<Self>
  ) -> Int

  /// `potrf` on pointers, row-major; its `info`.
  static func unsafePOTRF(
    _ triangle: Triangle, n: Int, a: UnsafeMutablePointer<Self>, lda: Int
  ) -> Int
}

extension Float: BLASElement {}
extension Double: BLASElement {}

/// Narrows an extent to an integer of BLAS or LAPACK.
/// - Precondition: it fits.
@inline(__always)
internal func narrowed<Narrow: FixedWidthInteger>(_ value: Int, _ name: StaticString) -> Narrow {
  guard let result = Narrow(exactly: value) else {
    preconditionFailure("\(name): expected at most \(Narrow.max), found \(value)")
  }
  return result
}

/// A triangle of a square matrix in row-major order, its diagonal included.
public enum Triangle: String, Hashable, Sendable, CaseIterable {
  /// Elements whose column is not after their row.
  case lower
  /// Elements whose column is not before their row.
  case upper
}

extension Triangle {
  /// The CBLAS value.
  internal var cblas: CBLAS_UPLO { self == .lower ? CblasLower : CblasUpper }

  /// LAPACK's letter for this triangle when LAPACK takes the row-major array as column-major: the
  /// other triangle, because that reading transposes.
  internal var columnMajorLetter: CChar {
    CChar(bitPattern: self == .lower ? UInt8(ascii: "U") : UInt8(ascii: "L"))
  }

  /// The columns of one row that belong to the triangle of a matrix of order `n`.
  @inlinable
  internal func columns(ofRow row: Int, order n: Int) -> Range<Int> {
    self == .lower ? 0..<row + 1 : row..<n
  }
}

/// Checks that a row-major matrix lies inside its storage.
/// - Precondition: extents are not negative, the leading dimension reaches over a row, and the
///   storage over the last element.
@usableFromInline
internal func checkMatrix(
  _ name: StaticString, rows: Int, columns: Int, leading: Int, count: Int
) {
  precondition(
    rows >= 0 && columns >= 0, "\(name): expected extents of at least 0, found \(rows)×\(columns)")
  precondition(
    leading >= max(1, columns),
    "\(name): expected a leading dimension of at least \(max(1, columns)), found \(leading)")
  guard rows > 0, columns > 0 else { return }
  let needed = (rows - 1) * leading + columns
  precondition(count >= needed, "\(name): expected at least \(needed) elements, found \(count)")
}

/// The row and column of the first element of a triangle that is NaN or infinite, or nil.
@inlinable
internal func firstNonFinite<Element: BLASElement>(
  _ triangle: Triangle, n: Int, a: UnsafeMutablePointer<Element>, lda: Int
) -> (row: Int, column: Int)? {
  for row in 0..<n {
    for column in triangle.columns(ofRow: row, order: n) where !a[row * lda + column].isFinite {
      return (row, column)
    }
  }
  return nil
}

/// Throws for the first element of a triangle that is NaN or infinite: LAPACK may loop or hand back
/// a wrong answer without a word.
@inlinable
internal func checkFinite<Element: BLASElement>(
  _ place: StaticString, _ triangle: Triangle, n: Int, a: UnsafeMutablePointer<Element>, lda: Int
) throws(KeelError) {
  guard let (row, column) = firstNonFinite(triangle, n: n, a: a, lda: lda) else { return }
  throw KeelError(
    .value, at: "\(place)", expected: "finite elements",
    found: "\(a[row * lda + column]) at row \(row), column \(column)")
}
