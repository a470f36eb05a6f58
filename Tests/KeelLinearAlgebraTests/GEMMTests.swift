import KeelLinearAlgebra
import KeelTensor
import Testing

@Suite struct GEMMTests {
  private static let seed: UInt64 = 11

  private func check<Element: BLASElement>(
    _: Element.Type, _ transposeA: Bool, _ transposeB: Bool, m: Int, n: Int, k: Int,
    alpha: Double, beta: Double, padding: Int
  ) {
    var source = RandomSource(seed: Self.seed)
    let a = TestMatrix<Element>(
      transposeA ? k : m, transposeA ? m : k, padding: padding, using: &source)
    let b = TestMatrix<Element>(
      transposeB ? n : k, transposeB ? k : n, padding: padding, using: &source)
    var c = TestMatrix<Element>(m, n, padding: padding, using: &source)
    let before = c.doubles(transposed: false)
    var (expected, magnitude) = plainProduct(
      a.doubles(transposed: transposeA), b.doubles(transposed: transposeB), m: m, n: n, k: k)
    for i in 0..<m * n {
      expected[i] = alpha * expected[i] + beta * before[i]
      magnitude[i] = abs(alpha) * magnitude[i] + abs(beta * before[i])
    }
    // With beta 0 what C held must not matter.
    if beta == 0 {
      for i in 0..<m {
        for j in 0..<n { c[i, j] = .nan }
      }
    }
    let ldc = c.leading
    var out = c.elements.mutableSpan
    gemm(
      transposeA, transposeB, m: m, n: n, k: k, alpha: Element(alpha), a: a.elements.span,
      lda: a.leading, b: b.elements.span, ldb: b.leading, beta: Element(beta), c: &out,
      ldc: ldc)
    let worst = errorInBounds(c, expected: expected, magnitude: magnitude, terms: k)
    #expect(
      worst <= 1,
      """
      \(Element.self) \(m)×\(n)×\(k), transposes \(transposeA) \(transposeB), alpha \(alpha), \
      beta \(beta), padding \(padding), seed \(Self.seed)
      """)
    #expect(c.paddingIsUntouched)
  }

  @Test(arguments: edgeSizes, [(false, false), (false, true), (true, false), (true, true)])
  func equalsPlainLoops(m: Int, transposes: (Bool, Bool)) {
    for n in edgeSizes {
      for k in edgeSizes {
        check(
          Float.self, transposes.0, transposes.1, m: m, n: n, k: k, alpha: 1, beta: 0, padding: 0)
        check(
          Double.self, transposes.0, transposes.1, m: m, n: n, k: k, alpha: 1, beta: 0, padding: 0)
      }
    }
  }

  @Test(arguments: [1.0, -0.5, 0], [0.0, 1, 2.5])
  func scalesAndLeadingDimensions(alpha: Double, beta: Double) {
    for (transposeA, transposeB) in [(false, false), (false, true), (true, false), (true, true)] {
      for padding in [0, 3] {
        check(
          Float.self, transposeA, transposeB, m: 17, n: 7, k: 33, alpha: alpha, beta: beta,
          padding: padding)
        check(
          Double.self, transposeA, transposeB, m: 17, n: 7, k: 33, alpha: alpha, beta: beta,
          padding: padding)
      }
    }
  }

  /// m·n·k above and below 10⁶, where OpenBLAS changes from its small path to the packed one.
  @Test(arguments: [96, 100, 101, 192])
  func smallAndPackedPaths(size: Int) {
    for (transposeA, transposeB) in [(false, false), (false, true), (true, false), (true, true)] {
      check(
        Float.self, transposeA, transposeB, m: size, n: size, k: size, alpha: 1, beta: 0, padding: 0
      )
    }
  }

  @Test func pointersEqualSpans() {
    var source = RandomSource(seed: Self.seed)
    let a = TestMatrix<Float>(5, 9, using: &source)
    let b = TestMatrix<Float>(9, 8, using: &source)
    var viaSpan = [Float](repeating: 0, count: 40)
    var viaPointer = viaSpan
    var out = viaSpan.mutableSpan
    gemm(m: 5, n: 8, k: 9, a: a.elements.span, b: b.elements.span, c: &out)
    a.elements.withUnsafeBufferPointer { a in
      b.elements.withUnsafeBufferPointer { b in
        viaPointer.withUnsafeMutableBufferPointer { c in
          gemm(
            false, false, m: 5, n: 8, k: 9, alpha: 1, a: a.baseAddress!, lda: 9,
            b: b.baseAddress!, ldb: 8, beta: 0, c: c.baseAddress!, ldc: 8)
        }
      }
    }
    #expect(viaSpan == viaPointer)
  }

  @Test func emptyExtents() {
    let none: [Float] = []
    let some: [Float] = [1, 2, 3, 4]
    var c: [Float] = [1, 2, 3, 4]
    var out = c.mutableSpan
    gemm(m: 0, n: 2, k: 2, a: none.span, b: some.span, c: &out)
    gemm(m: 2, n: 0, k: 2, a: some.span, b: none.span, c: &out)
    gemm(m: 2, n: 2, k: 0, a: none.span, b: none.span, beta: 3, c: &out)
    #expect(c == [3, 6, 9, 12])
    var again = c.mutableSpan
    gemm(m: 2, n: 2, k: 0, a: none.span, b: none.span, beta: 0, c: &again)
    #expect(c == [0, 0, 0, 0])
  }

  @Test func aNaNReachesItsRowOnly() {
    let a: [Float] = [1, .nan, 3, 4]
    let b: [Float] = [1, 1, 1, 1]
    var c: [Float] = [0, 0, 0, 0]
    var out = c.mutableSpan
    gemm(m: 2, n: 2, k: 2, a: a.span, b: b.span, c: &out)
    #expect(c[0].isNaN && c[1].isNaN && c[2] == 7 && c[3] == 7)
  }

  @Test func shortSpansTrap() async {
    await #expect(processExitsWith: .failure) {
      let a: [Float] = [1, 2, 3]
      var c: [Float] = [0, 0, 0, 0]
      var out = c.mutableSpan
      gemm(m: 2, n: 2, k: 2, a: a.span, b: [Float](repeating: 1, count: 4).span, c: &out)
    }
    await #expect(processExitsWith: .failure) {
      let a: [Float] = [1, 2, 3, 4]
      var c: [Float] = [0, 0, 0, 0]
      var out = c.mutableSpan
      gemm(m: 2, n: 2, k: 2, a: a.span, lda: 1, b: a.span, c: &out)
    }
  }

  @Test func extentsBeyondTheBLASIntegerTrap() async {
    await #expect(processExitsWith: .failure) {
      let none: [Float] = []
      var c: [Float] = [0]
      var out = c.mutableSpan
      gemm(m: 1, n: 1, k: 0, a: none.span, lda: 1 << 40, b: none.span, c: &out)
    }
  }
}
