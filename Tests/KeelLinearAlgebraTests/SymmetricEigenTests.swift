import KeelLinearAlgebra
import KeelTensor
import Testing

@Suite struct SymmetricEigenTests {
  /// Checks ascending values, A·vⱼ = λⱼ·vⱼ and orthonormal rows; gives the eigenvalues.
  @discardableResult
  private func check<Element: BLASElement>(
    _ triangle: Triangle, n: Int, padding: Int = 0, workspaceOrder: Int? = nil,
    _ symmetric: [Element], _ comment: Comment
  ) throws -> [Double] {
    var a = TestMatrix<Element>(n, n, padding: padding) { i, j in
      (triangle == .lower ? j <= i : j >= i) ? symmetric[i * n + j] : .nan
    }
    var values = [Element](repeating: .nan, count: n)
    var workspace = EigenWorkspace<Element>(order: workspaceOrder ?? n)
    let lda = a.leading
    var vectors = a.elements.mutableSpan
    var out = values.mutableSpan
    try symmetricEigen(
      triangle, n: n, a: &vectors, lda: lda, values: &out, workspace: &workspace)
    #expect(a.paddingIsUntouched, comment)
    #expect(zip(values, values.dropFirst()).allSatisfy { $0 <= $1 }, comment)

    let full = symmetric.map { Double($0) }
    let v = a.doubles(transposed: false)
    let vTransposed = a.doubles(transposed: true)
    let norm = full.reduce(0) { $0 + $1 * $1 }.squareRoot()
    let unit = Double(Element.ulpOfOne) * Double(n + 10)
    let (av, _) = plainProduct(full, vTransposed, m: n, n: n, k: n)
    let (gram, _) = plainProduct(v, vTransposed, m: n, n: n, k: n)
    var residual = 0.0
    var departure = 0.0
    for i in 0..<n {
      for j in 0..<n {
        residual += square(av[i * n + j] - vTransposed[i * n + j] * Double(values[j]))
        departure += square(gram[i * n + j] - (i == j ? 1 : 0))
      }
    }
    #expect(residual.squareRoot() <= unit * norm, comment)
    #expect(departure.squareRoot() <= unit, comment)
    return values.map { Double($0) }
  }

  private func square(_ x: Double) -> Double { x * x }

  private func randomSymmetric<Element: BLASElement>(_ n: Int, _: Element.Type) -> [Element] {
    var source = RandomSource(seed: 14)
    var a = [Element](repeating: 0, count: n * n)
    for i in 0..<n {
      for j in 0...i {
        let value = Element(2 * source.uniform() - 1)
        a[i * n + j] = value
        a[j * n + i] = value
      }
    }
    return a
  }

  /// 130 is past the order from which `sytrd` works in blocks.
  @Test(arguments: edgeSizes + [2, 26, 130], Triangle.allCases)
  func residualAndOrthogonality(n: Int, triangle: Triangle) throws {
    for padding in [0, 3] {
      let comment: Comment = "n \(n) \(triangle) padding \(padding) seed 14"
      try check(triangle, n: n, padding: padding, randomSymmetric(n, Double.self), comment)
      try check(triangle, n: n, padding: padding, randomSymmetric(n, Float.self), comment)
    }
    try check(
      triangle, n: n, workspaceOrder: n + 50, randomSymmetric(n, Double.self), "a larger workspace")
  }

  @Test(arguments: [2, 16, 65])
  func repeatedEigenvalues(n: Int) throws {
    // 3·I + u·uᵀ with |u| = 1 has the eigenvalues 3 (n - 1 times) and 4.
    let u = 1 / Double(n).squareRoot()
    var a = [Double](repeating: u * u, count: n * n)
    for i in 0..<n { a[i * n + i] += 3 }
    let values = try check(.lower, n: n, a, "3·I + u·uᵀ")
    #expect(values.dropLast().allSatisfy { abs($0 - 3) <= 1e-13 })
    #expect(abs(values[n - 1] - 4) <= 1e-13)

    var identity = [Double](repeating: 0, count: n * n)
    for i in 0..<n { identity[i * n + i] = 1 }
    let ones = try check(.upper, n: n, identity, "identity")
    #expect(ones.allSatisfy { $0 == 1 })

    let zeros = try check(.lower, n: n, [Double](repeating: 0, count: n * n), "zero")
    #expect(zeros.allSatisfy { $0 == 0 })
  }

  /// 2 on the diagonal, -1 beside it: λⱼ = 2 - 2·cos(jπ/(n + 1)), here for n = 3.
  @Test func knownEigenvalues() throws {
    let values = try check(.lower, n: 3, [2, -1, 0, -1, 2, -1, 0, -1, 2] as [Double], "golden")
    let root = 2.0.squareRoot()
    for (found, expected) in zip(values, [2 - root, 2, 2 + root]) {
      #expect(abs(found - expected) <= 1e-15 * 8)
    }
  }

  @Test(arguments: [Double.nan, .infinity, -.infinity])
  func nonFiniteInputThrows(_ bad: Double) {
    var a: [Double] = [1, 99, 2, 3]
    a[2] = bad
    var values: [Double] = [0, 0]
    var workspace = EigenWorkspace<Double>(order: 2)
    let error = #expect(throws: KeelError.self) {
      var vectors = a.mutableSpan
      var out = values.mutableSpan
      try symmetricEigen(n: 2, a: &vectors, values: &out, workspace: &workspace)
    }
    #expect(error?.kind == .value)
    #expect(error?.found.hasSuffix("at row 1, column 0") == true)
    #expect(a[0] == 1 && a[1] == 99 && a[3] == 3)
  }

  @Test func emptyMatrix() throws {
    var a: [Double] = []
    var values: [Double] = []
    var workspace = EigenWorkspace<Double>(order: 0)
    var vectors = a.mutableSpan
    var out = values.mutableSpan
    try symmetricEigen(n: 0, a: &vectors, values: &out, workspace: &workspace)
  }

  @Test func smallWorkspaceTraps() async {
    await #expect(processExitsWith: .failure) {
      var a: [Double] = [1, 0, 0, 1]
      var values: [Double] = [0, 0]
      var workspace = EigenWorkspace<Double>(order: 1)
      var vectors = a.mutableSpan
      var out = values.mutableSpan
      try symmetricEigen(n: 2, a: &vectors, values: &out, workspace: &workspace)
    }
  }
}
