import KeelLinearAlgebra
import KeelTensor
import Testing

@Suite struct SYRKTests {
  private func check<Element: BLASElement>(
    _: Element.Type, _ triangle: Triangle, _ transposeA: Bool, n: Int, k: Int, alpha: Double,
    beta: Double, padding: Int
  ) {
    var source = RandomSource(seed: 12)
    let a = TestMatrix<Element>(
      transposeA ? k : n, transposeA ? n : k, padding: padding, using: &source)
    let random = TestMatrix<Element>(n, n, using: &source)
    let isInside = { (i: Int, j: Int) in triangle == .lower ? j <= i : j >= i }
    // What lies outside the triangle is NaN: it must be neither read nor written.
    var c = TestMatrix<Element>(n, n, padding: padding) { i, j in
      isInside(i, j) ? (beta == 0 ? .infinity : random[i, j]) : .nan
    }
    var (expected, magnitude) = plainProduct(
      a.doubles(transposed: transposeA), a.doubles(transposed: !transposeA), m: n, n: n, k: k)
    for i in 0..<n {
      for j in 0..<n {
        let old = beta == 0 ? 0 : beta * Double(random[min(i, j), max(i, j)])
        let oldLower = beta == 0 ? 0 : beta * Double(random[max(i, j), min(i, j)])
        let added = triangle == .lower ? oldLower : old
        expected[i * n + j] = alpha * expected[i * n + j] + added
        magnitude[i * n + j] = abs(alpha) * magnitude[i * n + j] + abs(added)
      }
    }
    let ldc = c.leading
    var out = c.elements.mutableSpan
    syrk(
      triangle, transposeA, n: n, k: k, alpha: Element(alpha), a: a.elements.span, lda: a.leading,
      beta: Element(beta), c: &out, ldc: ldc)
    var outsideIsUntouched = true
    for i in 0..<n {
      for j in 0..<n where !isInside(i, j) && !c[i, j].isNaN { outsideIsUntouched = false }
    }
    #expect(outsideIsUntouched)
    var full = c.elements.mutableSpan
    mirror(triangle, n: n, c: &full, ldc: ldc)
    let worst = errorInBounds(c, expected: expected, magnitude: magnitude, terms: k)
    #expect(
      worst <= 1,
      """
      \(Element.self) \(triangle) transpose \(transposeA) n \(n) k \(k) alpha \(alpha) \
      beta \(beta) padding \(padding) seed 12
      """)
    #expect(c.paddingIsUntouched)
  }

  @Test(arguments: edgeSizes, Triangle.allCases)
  func equalsPlainLoops(n: Int, triangle: Triangle) {
    for k in edgeSizes {
      for transposeA in [false, true] {
        for (alpha, beta, padding) in [(1.0, 0.0, 0), (0.25, 1.5, 3)] {
          check(
            Float.self, triangle, transposeA, n: n, k: k, alpha: alpha, beta: beta,
            padding: padding)
          check(
            Double.self, triangle, transposeA, n: n, k: k, alpha: alpha, beta: beta,
            padding: padding)
        }
      }
    }
  }

  @Test func noTermsScaleTheTriangle() {
    let none: [Double] = []
    var c: [Double] = [1, 2, 3, 4]
    var out = c.mutableSpan
    syrk(.lower, n: 2, k: 0, a: none.span, beta: 2, c: &out)
    #expect(c == [2, 2, 6, 8])
  }

  @Test func shortSpansTrap() async {
    await #expect(processExitsWith: .failure) {
      let a: [Float] = [1, 2, 3]
      var c: [Float] = [0, 0, 0]
      var out = c.mutableSpan
      syrk(n: 2, k: 1, a: a.span, c: &out)
    }
  }
}
