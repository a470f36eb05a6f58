internal import KeelLinearAlgebra

/// Square matrices of Doubles in scratch memory, row by row.
internal struct SquareProducts {
  let order: Int

  var count: Int { order * order }

  /// Which factor of a product is turned.
  enum Turned { case none, first, second }

  /// c = alpha·a·b + beta·c, with one of a and b transposed where asked.
  func multiply(
    _ a: UnsafePointer<Double>, _ b: UnsafePointer<Double>, transposing turned: Turned = .none,
    alpha: Double = 1, beta: Double = 0, into c: UnsafeMutablePointer<Double>
  ) {
    gemm(
      turned == .first, turned == .second, m: order, n: order, k: order, alpha: alpha, a: a,
      lda: order, b: b, ldb: order, beta: beta, c: c, ldc: order)
  }

  func trace(_ a: UnsafePointer<Double>) -> Double {
    (0..<order).reduce(0) { $0 + a[$1 * order + $1] }
  }

  /// Σ aᵢⱼ·bᵢⱼ.
  func dot(_ a: UnsafePointer<Double>, _ b: UnsafePointer<Double>) -> Double {
    var sum = 0.0
    for i in 0..<count { sum += a[i] * b[i] }
    return sum
  }

  func setIdentity(_ a: UnsafeMutablePointer<Double>, factor: Double = 1) {
    a.update(repeating: 0, count: count)
    addIdentity(a, factor: factor)
  }

  func addIdentity(_ a: UnsafeMutablePointer<Double>, factor: Double) {
    for i in 0..<order { a[i * order + i] += factor }
  }

  func makeSymmetric(_ a: UnsafeMutablePointer<Double>) {
    for i in 0..<order {
      for j in 0..<i {
        let mean = (a[i * order + j] + a[j * order + i]) / 2
        a[i * order + j] = mean
        a[j * order + i] = mean
      }
    }
  }

  /// Leaves the lower triangle, with the diagonal times a factor.
  func makeLower(_ a: UnsafeMutablePointer<Double>, diagonal: Double = 1) {
    for i in 0..<order {
      a[i * order + i] *= diagonal
      for j in i + 1..<max(order, i + 1) { a[i * order + j] = 0 }
    }
  }

  /// b ← l⁻¹·b, or l⁻ᵀ·b, for a lower triangle l.
  func solve(
    _ l: UnsafePointer<Double>, transposed: Bool = false, into b: UnsafeMutablePointer<Double>
  ) {
    Double.unsafeTRSM(
      .left, .lower, transposed, unitDiagonal: false, m: order, n: order, alpha: 1, a: l,
      lda: order, b: b, ldb: order)
  }
}
