import KeelLinearAlgebra
import KeelTensor
import Testing

@Suite struct CholeskyTests {
  private func check<Element: BLASElement>(
    _: Element.Type, _ triangle: Triangle, n: Int, padding: Int
  ) throws {
    var source = RandomSource(seed: 15)
    let factor = TestMatrix<Element>(n, n, using: &source)
    var (full, _) = plainProduct(
      factor.doubles(transposed: false), factor.doubles(transposed: true), m: n, n: n, k: n)
    for i in 0..<n { full[i * n + i] += 1 }
    full = full.map { Double(Element($0)) }
    let isInside = { (i: Int, j: Int) in triangle == .lower ? j <= i : j >= i }
    var a = TestMatrix<Element>(n, n, padding: padding) { i, j in
      isInside(i, j) ? Element(full[i * n + j]) : .nan
    }
    let lda = a.leading
    var out = a.elements.mutableSpan
    try cholesky(triangle, n: n, a: &out, lda: lda)
    #expect(a.paddingIsUntouched)
    var outsideIsUntouched = true
    var factors = TestMatrix<Element>(n, n) { _, _ in 0 }
    for i in 0..<n {
      for j in 0..<n {
        if isInside(i, j) {
          factors[i, j] = a[i, j]
        } else if !a[i, j].isNaN {
          outsideIsUntouched = false
        }
      }
    }
    #expect(outsideIsUntouched)
    let transposeFirst = triangle == .upper
    let (product, magnitude) = plainProduct(
      factors.doubles(transposed: transposeFirst), factors.doubles(transposed: !transposeFirst),
      m: n, n: n, k: n)
    let rebuilt = TestMatrix<Element>(n, n) { i, j in Element(product[i * n + j]) }
    let worst = errorInBounds(rebuilt, expected: full, magnitude: magnitude, terms: n)
    #expect(worst <= 1, "\(Element.self) \(triangle) n \(n) padding \(padding) seed 15")
  }

  @Test(arguments: edgeSizes + [130], Triangle.allCases)
  func factorsGiveTheMatrixBack(n: Int, triangle: Triangle) throws {
    for padding in [0, 3] {
      try check(Float.self, triangle, n: n, padding: padding)
      try check(Double.self, triangle, n: n, padding: padding)
    }
  }

  @Test(arguments: [0, 1, 4, 33], Triangle.allCases)
  func namesTheMinorThatIsNotPositive(index: Int, triangle: Triangle) {
    let n = 34
    var a = [Double](repeating: 0, count: n * n)
    for i in 0..<n { a[i * n + i] = i == index ? -1 : 1 }
    let error = #expect(throws: KeelError.self) {
      var out = a.mutableSpan
      try cholesky(triangle, n: n, a: &out)
    }
    #expect(error?.kind == .numerical)
    #expect(
      error?.found == "a leading minor of order \(index + 1) that is not positive definite")
    #expect(error?.expected == "a positive definite matrix of order 34")
  }

  @Test func aSingularMatrixThrows() {
    var a: [Float] = [1, 0, 1, 1]
    let error = #expect(throws: KeelError.self) {
      var out = a.mutableSpan
      try cholesky(.lower, n: 2, a: &out)
    }
    #expect(error?.found.contains("order 2") == true)
  }

  @Test(arguments: [Float.nan, .infinity])
  func nonFiniteInputThrows(_ bad: Float) {
    var a: [Float] = [1, 7, 0, bad]
    let error = #expect(throws: KeelError.self) {
      var out = a.mutableSpan
      try cholesky(.lower, n: 2, a: &out)
    }
    #expect(error?.kind == .value)
    #expect(error?.found.hasSuffix("at row 1, column 1") == true)
  }

  /// x = A⁻¹b by two triangular solves on the factor.
  @Test func solvesWithTriangularSystems() throws {
    var a: [Double] = [4, 0, 2, 5]
    var b: [Double] = [8, 12]
    var factor = a.mutableSpan
    try cholesky(.lower, n: 2, a: &factor)
    var x = b.mutableSpan
    trsm(.left, .lower, m: 2, n: 1, a: a.span, b: &x)
    trsm(.left, .lower, true, m: 2, n: 1, a: a.span, b: &x)
    // 4·x + 2·y = 8, 2·x + 5·y = 12
    #expect(abs(b[0] - 1) <= 1e-15 && abs(b[1] - 2) <= 1e-15 * 4)
  }
}
