import KeelLinearAlgebra
import KeelTensor
import Testing

@Suite struct TRSMTests {
  private func check<Element: BLASElement>(
    _: Element.Type, _ side: Side, _ triangle: Triangle, _ transposeA: Bool, unitDiagonal: Bool,
    m: Int, n: Int, alpha: Double, padding: Int
  ) {
    var source = RandomSource(seed: 13)
    let order = side == .left ? m : n
    // Off the diagonal small, so that the system is well conditioned; the other triangle is NaN,
    // and so is the diagonal where it must not be read.
    let a = TestMatrix<Element>(order, order, padding: padding) { i, j in
      if i == j { return unitDiagonal ? .nan : Element(1.5 + source.uniform()) }
      guard (triangle == .lower) == (j < i) else { return .nan }
      return Element((2 * source.uniform() - 1) / Double(order))
    }
    var plainA = [Double](repeating: 0, count: order * order)
    for i in 0..<order {
      for j in 0..<order where i == j || (triangle == .lower) == (j < i) {
        let value = i == j && unitDiagonal ? 1 : Double(a[i, j])
        plainA[transposeA ? j * order + i : i * order + j] = value
      }
    }
    var b = TestMatrix<Element>(m, n, padding: padding, using: &source)
    let before = b.doubles(transposed: false)
    let ldb = b.leading
    var out = b.elements.mutableSpan
    trsm(
      side, triangle, transposeA, unitDiagonal: unitDiagonal, m: m, n: n, alpha: Element(alpha),
      a: a.elements.span, lda: a.leading, b: &out, ldb: ldb)
    // Multiplying back must give alpha·B.
    let x = b.doubles(transposed: false)
    let (product, magnitude) =
      side == .left
      ? plainProduct(plainA, x, m: m, n: n, k: m) : plainProduct(x, plainA, m: m, n: n, k: n)
    let unit = Double(Element.ulpOfOne) * Double(order + 4)
    for i in 0..<m * n {
      let error = abs(product[i] - alpha * before[i])
      guard !(error <= unit * (magnitude[i] + abs(alpha * before[i]))) else { continue }
      Issue.record(
        """
        \(Element.self) \(side) \(triangle) transpose \(transposeA) unit \(unitDiagonal) \
        \(m)×\(n) padding \(padding) seed 13: element \(i) is off by \(error)
        """)
      return
    }
    #expect(b.paddingIsUntouched)
  }

  @Test(arguments: edgeSizes, Side.allCases)
  func solves(m: Int, side: Side) {
    for n in edgeSizes {
      for triangle in Triangle.allCases {
        for transposeA in [false, true] {
          for (unitDiagonal, alpha, padding) in [(false, 1.0, 0), (true, -2.0, 3)] {
            check(
              Float.self, side, triangle, transposeA, unitDiagonal: unitDiagonal, m: m, n: n,
              alpha: alpha, padding: padding)
            check(
              Double.self, side, triangle, transposeA, unitDiagonal: unitDiagonal, m: m, n: n,
              alpha: alpha, padding: padding)
          }
        }
      }
    }
  }

  @Test func emptyExtents() {
    let none: [Double] = []
    var b: [Double] = []
    var out = b.mutableSpan
    trsm(.left, .lower, m: 0, n: 3, a: none.span, b: &out)
    trsm(.right, .lower, m: 3, n: 0, a: none.span, b: &out)
  }
}
