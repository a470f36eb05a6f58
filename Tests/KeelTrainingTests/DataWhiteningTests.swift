import Foundation
import KeelData
import KeelTensor
import KeelTestSupport
import KeelTraining
import Testing

@Suite struct DataWhiteningTests {
  typealias Method = DataWhitening.Method

  /// The digits' 64 pixels, of which some are always 0.
  static let digits = try! Digits.images.reshaped(to: [1797, 64])
  /// 884 patches of 12×12 grey pixels of two photographs (Scripts/make-patches.py).
  static let patches: Tensor = {
    let bytes = try! Figures.data("patches.bin")
    return try! Tensor(bytes.map { Float($0) / 255 }, shape: [bytes.count / 144, 144])
  }()

  /// Correlated columns around large means: full rank.
  private func correlated(_ rows: Int, _ columns: Int, seed: UInt64) -> Tensor {
    var source = TensorSource(seed: seed)
    let x = source.normal([rows, columns])
    return Tensor(uninitialized: x.shape) { out in
      for i in out.indices {
        let (row, c) = (i / columns, i % columns)
        let before = c == 0 ? 0 : out[i - 1] - Float(10 * (c - 1))
        out[i] = 0.9 * before + x[flat: row * columns + c] + Float(10 * c)
      }
    }
  }

  /// The population covariance and the means, in Double.
  private func statistics(_ x: Tensor) -> (means: [Double], covariance: [Double]) {
    let (rows, columns) = (x.shape.rowCount, x.shape.channelCount)
    var means = [Double](repeating: 0, count: columns)
    for i in 0..<x.count { means[i % columns] += Double(x[flat: i]) / Double(rows) }
    var covariance = [Double](repeating: 0, count: columns * columns)
    for row in 0..<rows {
      let d = (0..<columns).map { Double(x[flat: row * columns + $0]) - means[$0] }
      for i in 0..<columns {
        for j in 0..<columns { covariance[i * columns + j] += d[i] * d[j] / Double(rows) }
      }
    }
    return (means, covariance)
  }

  private func largestDifference(_ a: some Sequence<Double>, _ b: some Sequence<Double>) -> Double {
    zip(a, b).reduce(0) { abs($1.0 - $1.1) <= $0 ? $0 : abs($1.0 - $1.1) }
  }

  /// a·b, with a of m×k and b of k×n or, transposed, n×k.
  private func product(
    _ a: [Double], _ b: [Double], m: Int, n: Int, k: Int, transposed: Bool = false
  ) -> [Double] {
    var c = [Double](repeating: 0, count: m * n)
    for i in 0..<m {
      for l in 0..<k {
        let x = a[i * k + l]
        for j in 0..<n { c[i * n + j] += x * (transposed ? b[j * k + l] : b[l * n + j]) }
      }
    }
    return c
  }

  private func identity(_ n: Int) -> [Double] { (0..<n * n).map { $0 / n == $0 % n ? 1 : 0 } }

  private func widened(_ x: Tensor) -> [Double] { x.elements.map { Double($0) } }

  /// Columns 1, 2 with Σ = [[2, 1], [1, 2]]: Λ = 3, 1; U of halves' roots; L = [[√2, 0], [1/√2, √(3/2)]].
  @Test func byHand() throws {
    let r = Float(3).squareRoot()
    let x = try Tensor([r, r, -r, -r, 1, -1, -1, 1].map { $0 + 5 }, shape: [4, 2])
    let (a, b) = (1 / 6.0.squareRoot(), 1 / 2.0.squareRoot())
    let expected: [Method: [Double]] = [
      .pca: [a, a, b, -b],
      .zca: [(a + b) * b, (a - b) * b, (a - b) * b, (a + b) * b],
      .cholesky: [b, 0, -a, 2 * a],
    ]
    for method in Method.allCases {
      let whitening = try DataWhitening(method, fitting: x)
      #expect(whitening.rowCount == 4)
      #expect(largestDifference(whitening.means, [5, 5]) <= 1e-6)
      #expect(largestDifference(try whitening.matrix(), expected[method]!) <= 1e-6, "\(method)")
    }
  }

  @Test(arguments: Method.allCases) func covarianceBecomesIdentity(method: Method) throws {
    for x in [correlated(500, 7, seed: 31), correlated(90, 40, seed: 32), Self.patches] {
      let whitening = try DataWhitening(method, fitting: x)
      let y = try whitening.apply(x)
      #expect(y.shape == x.shape)
      let (means, covariance) = statistics(y)
      let n = y.shape.channelCount
      #expect(means.allSatisfy { abs($0) <= 1e-6 }, "\(method) of \(x.shape)")
      #expect(
        largestDifference(covariance, identity(n)) <= 2e-6, "\(method) of \(x.shape)")

      let back = try whitening.inverse(y)
      #expect(largestDifference(widened(back), widened(x)) <= 1e-5, "\(method) of \(x.shape)")
    }
  }

  /// In Double all along: W·Σ·Wᵀ = I, with Σ from a plain sum.
  @Test(arguments: Method.allCases) func matrixWhitensTheCovariance(method: Method) throws {
    for x in [correlated(500, 7, seed: 31), Self.patches] {
      let n = x.shape.channelCount
      let w = try DataWhitening(method, fitting: x).matrix()
      let covariance = statistics(x).covariance
      let half = product(w, covariance, m: n, n: n, k: n)
      let whole = product(half, w, m: n, n: n, k: n, transposed: true)
      #expect(largestDifference(whole, identity(n)) <= 1e-9, "\(method) of \(x.shape)")
    }
  }

  /// The forms of W: they differ by a rotation, so that y·yᵀ is the same of all.
  @Test func methodsDifferByARotation() throws {
    let x = correlated(60, 9, seed: 33)
    let all = try Method.allCases.map { try DataWhitening($0, fitting: x) }
    let products = try all.map { whitening in
      let y = widened(try whitening.apply(x))
      return product(y, y, m: 60, n: 60, k: 9, transposed: true)
    }
    for other in products.dropFirst() {
      #expect(largestDifference(other, products[0]) <= 1e-5)
    }
    for (method, w) in zip(Method.allCases, try all.map { try $0.matrix() }) {
      let entries = (0..<81).map { (row: $0 / 9, column: $0 % 9, value: w[$0]) }
      switch method {
      case .zca: #expect(entries.allSatisfy { $0.value == w[$0.column * 9 + $0.row] })
      case .cholesky: #expect(entries.allSatisfy { $0.column <= $0.row || $0.value == 0 })
      case .pca: break
      }
    }
  }

  /// Σ|y − (x − mean)|² is smallest for ZCA.
  @Test func zcaIsNearest() throws {
    for x in [correlated(300, 6, seed: 34), Self.patches] {
      let means = statistics(x).means
      let distances = try Method.allCases.map { method in
        let y = try DataWhitening(method, fitting: x).apply(x)
        return (0..<x.count).reduce(0.0) { sum, i in
          let d = Double(y[flat: i]) - Double(x[flat: i]) + means[i % means.count]
          return sum + d * d
        }
      }
      let zca = distances[Method.allCases.firstIndex(of: .zca)!]
      #expect(distances.filter { $0 <= zca }.count == 1)
    }
  }

  @Test(arguments: Method.allCases) func batchesAreMergedExactly(method: Method) throws {
    let x = correlated(700, 5, seed: 35)
    let whole = try DataWhitening(method, fitting: x)
    var parts = try DataWhitening(method)
    for range in [300..<700, 0..<1, 1..<300] {
      let elements = Array(x.elements[range.lowerBound * 5..<range.upperBound * 5])
      try parts.fit(Tensor(elements, shape: [range.count, 5]))
    }
    #expect(parts.rowCount == 700)
    #expect(largestDifference(parts.means, whole.means) <= 1e-12)
    #expect(largestDifference(try parts.matrix(), try whole.matrix()) <= 1e-12)
  }

  /// What was applied before a further fit is not what is applied after it.
  @Test func fittingAgainChangesTheMatrix() throws {
    let x = correlated(50, 3, seed: 36)
    var whitening = try DataWhitening(.zca, fitting: x)
    let before = try whitening.matrix()
    let copy = whitening
    try whitening.fit(correlated(50, 3, seed: 37))
    #expect(try whitening.matrix() != before)
    #expect(try copy.matrix() == before)
  }

  @Test func keptVarianceOfDigits() throws {
    let x = Self.digits
    let (means, covariance) = statistics(x)
    let total = (0..<64).reduce(0) { $0 + covariance[$1 * 65] }
    let pca = try DataWhitening(.pca, keptVariance: 0.9, fitting: x)
    let y = try pca.apply(x)
    // 21 components hold 90 % of the digits' variance, 20 do not.
    #expect(y.shape == [1797, 21])
    #expect(try pca.outputCount() == 21)
    #expect(largestDifference(statistics(y).covariance, identity(21)) <= 2e-6)

    let back = try pca.inverse(y)
    let lost = (0..<x.count).reduce(0.0) { sum, i in
      let d = Double(x[flat: i]) - Double(back[flat: i])
      return sum + d * d / 1797
    }
    #expect(lost <= 0.1 * total && lost > 0.09 * total)

    // ZCA with as many components: the same inverse, as many columns as x.
    let zca = try DataWhitening(.zca, keptVariance: 0.9, fitting: x)
    let z = try zca.apply(x)
    #expect(z.shape == x.shape)
    #expect(largestDifference(widened(try zca.inverse(z)), widened(back)) <= 1e-5)
    let trace = (0..<64).reduce(0) { $0 + statistics(z).covariance[$1 * 65] }
    #expect(abs(trace - 21) <= 1e-4)
    #expect(means.count == 64)
  }

  /// With ε, the output's covariance is Σ·(Σ + εI)⁻¹ for ZCA, whose trace is Σ λ/(λ + ε).
  @Test func epsilon() throws {
    let x = Self.digits
    let covariance = statistics(x).covariance
    let mean = (0..<64).reduce(0) { $0 + covariance[$1 * 65] } / 64
    let relative = try DataWhitening(.zca, epsilon: .relative(0.1), fitting: x)
    let absolute = try DataWhitening(.zca, epsilon: .absolute(0.1 * mean), fitting: x)
    #expect(largestDifference(try relative.matrix(), try absolute.matrix()) <= 1e-9)
    let w = try absolute.matrix()
    // W·(Σ + εI)·W = I.
    var shifted = covariance
    for i in 0..<64 { shifted[i * 65] += 0.1 * mean }
    let half = product(w, shifted, m: 64, n: 64, k: 64)
    let whole = product(half, w, m: 64, n: 64, k: 64)
    #expect(largestDifference(whole, identity(64)) <= 1e-10)
    for method in Method.allCases {
      let whitening = try DataWhitening(method, epsilon: .relative(0.01), fitting: x)
      let back = try whitening.inverse(whitening.apply(x))
      #expect(largestDifference(widened(back), widened(x)) <= 1e-5, "\(method)")
    }
  }

  /// Channels last, whatever comes before.
  @Test func imagesAreWhitenedAlongTheirChannels() throws {
    let x = correlated(60, 3, seed: 38)
    let images = try x.reshaped(to: [3, 4, 5, 3])
    let whitening = try DataWhitening(.pca, fitting: images)
    let y = try whitening.apply(images)
    #expect(y.shape == [3, 4, 5, 3])
    #expect(y.elements == (try DataWhitening(.pca, fitting: x).apply(x)).elements)
  }
}

@Suite struct DataWhiteningErrorTests {
  private func expect(
    _ kind: KeelError.Kind, at place: String, found: String, _ body: () throws -> Void
  ) {
    let error = #expect(throws: KeelError.self) { try body() }
    #expect(error?.kind == kind)
    #expect(error?.place == "data whitening: \(place)")
    #expect(error?.found.contains(found) == true, "\(error?.found ?? "nothing")")
  }

  @Test func arguments() {
    for share in [0, -1, 1.5, Double.nan] {
      expect(.argument, at: "keptVariance", found: "\(share)") {
        _ = try DataWhitening(.pca, keptVariance: share)
      }
    }
    expect(.argument, at: "keptVariance", found: "0.5") {
      _ = try DataWhitening(.cholesky, keptVariance: 0.5)
    }
    for epsilon in [-1, Double.nan, .infinity] {
      expect(.argument, at: "epsilon", found: "\(epsilon)") {
        _ = try DataWhitening(epsilon: .absolute(epsilon))
      }
      expect(.argument, at: "epsilon", found: "\(epsilon)") {
        _ = try DataWhitening(epsilon: .relative(epsilon))
      }
    }
  }

  @Test func shapes() throws {
    var source = TensorSource(seed: 39)
    let x = source.normal([10, 3])
    let unfitted = try DataWhitening()
    expect(.shape, at: "apply", found: "none") { _ = try unfitted.apply(x) }
    expect(.shape, at: "inverse", found: "none") { _ = try unfitted.inverse(x) }
    expect(.shape, at: "fit", found: "0×3") {
      _ = try DataWhitening(fitting: Tensor(zeros: [0, 3]))
    }
    expect(.shape, at: "fit", found: "3") { _ = try DataWhitening(fitting: Tensor(zeros: [3])) }
    var whitening = try DataWhitening(.pca, keptVariance: 0.5, fitting: x)
    expect(.shape, at: "fit", found: "10×4") { try whitening.fit(Tensor(zeros: [10, 4])) }
    expect(.shape, at: "apply", found: "10×4") { _ = try whitening.apply(Tensor(zeros: [10, 4])) }
    // y has fewer columns than x.
    expect(.shape, at: "inverse", found: "10×3") { _ = try whitening.inverse(x) }
  }

  @Test(arguments: [Float.nan, .infinity]) func nonFiniteInput(bad: Float) throws {
    var source = TensorSource(seed: 40)
    let x = source.normal([10, 3])
    var whitening = try DataWhitening(fitting: x)
    let before = try whitening.matrix()
    var elements = x.elements
    elements[17] = bad
    let other = try Tensor(elements, shape: [10, 3])
    expect(.value, at: "fit", found: "row 5, column 2") { try whitening.fit(other) }
    #expect(try whitening.matrix() == before && whitening.rowCount == 10)
  }

  @Test(arguments: DataWhitening.Method.allCases) func rank(method: DataWhitening.Method) throws {
    var source = TensorSource(seed: 41)
    let few = source.normal([4, 4])
    expect(.value, at: "covariance", found: "4 rows") {
      _ = try DataWhitening(method, fitting: few).apply(few)
    }
    let y = try DataWhitening(method, epsilon: .relative(0.1), fitting: few).apply(few)
    #expect(y.elements.allSatisfy { $0.isFinite })
    let what = method == .cholesky ? "leading minor" : "of 3 eigenvalues"
    // A constant column, and one that is the sum of two others.
    for last in [{ _, _ in 7 }, { $0 + $1 }] as [(Float, Float) -> Float] {
      let x = source.normal([20, 3])
      let singular = Tensor(uninitialized: [20, 3]) { out in
        for i in out.indices {
          out[i] = i % 3 < 2 ? x[flat: i] : last(x[flat: i - 2], x[flat: i - 1])
        }
      }
      let whitening = try DataWhitening(method, fitting: singular)
      if last(1, 2) == 7 {
        expect(.numerical, at: "covariance", found: what) { _ = try whitening.apply(singular) }
      }
      let fine = try DataWhitening(method, epsilon: .absolute(1e-3), fitting: singular)
      #expect(try fine.apply(singular).elements.allSatisfy { $0.isFinite })
      guard method != .cholesky else { continue }
      let kept = try DataWhitening(method, keptVariance: 0.99, fitting: singular)
      #expect(try kept.apply(singular).elements.allSatisfy { $0.isFinite })
    }
    let constant = Tensor(repeating: 2, shape: [9, 3])
    expect(.numerical, at: "covariance", found: what) {
      _ = try DataWhitening(method, epsilon: .relative(1), fitting: constant).apply(constant)
    }
  }
}
