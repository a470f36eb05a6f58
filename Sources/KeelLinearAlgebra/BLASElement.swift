internal import KeelCBLAS
public import KeelTensor

/// The element types that BLAS and LAPACK compute with in Keel: Float and Double.
///
/// The requirements are the routines on pointers, unchecked; call the functions of the same names
/// on spans instead.
public protocol BLASElement: ArrayElement, BinaryFloatingPoint {
  /// `gemm` on pointers, row-major.
  static func unsafeGEMM(
    _ transposeA: Bool, _ transposeB: Bool, m: Int, n: Int, k: Int, alpha: Self,
    a: UnsafePointer<Self>, lda: Int, b: UnsafePointer<Self>, ldb: Int, beta: Self,
    c: UnsafeMutablePointer<Self>, ldc: Int)
}

extension Float: BLASElement {}
extension Double: BLASElement {}

/// The integer of the linked BLAS and LAPACK.
internal typealias BLASInteger = blasint

/// Narrows an extent to the integer of BLAS.
/// - Precondition: it fits.
@inline(__always)
internal func narrowed(_ value: Int, _ name: StaticString) -> BLASInteger {
  guard let result = BLASInteger(exactly: value) else {
    preconditionFailure("\(name): expected at most \(BLASInteger.max), found \(value)")
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

/// Checks that a row-major matrix lies inside its storage.
/// - Precondition: extents are not negative, the leading dimension reaches over a row, and the
///   storage over the last element.
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
