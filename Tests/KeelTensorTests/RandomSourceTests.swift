import KeelTensor
import Testing

@Suite struct RandomSourceTests {
  // The golden values come from a transcription to Python of the published C code of xoshiro256**
  // and SplitMix64 (Blackman and Vigna).

  @Test func goldenBits() {
    var zero = RandomSource(seed: 0)
    #expect(
      (0..<4).map { _ in zero.next() } == [
        0x99ec_5f36_cb75_f2b4, 0xbf6e_1f78_4956_452a, 0x1a5f_849d_4933_e6e0,
        0x6aa5_94f1_262d_2d2c,
      ])
    var other = RandomSource(seed: 42)
    #expect(
      (0..<4).map { _ in other.next() } == [
        0x1578_0b2e_0c2e_c716, 0x6104_d986_6d11_3a7e, 0xae17_5332_39e4_99a1,
        0xecb8_ad47_03b3_60a1,
      ])
  }

  @Test func goldenNumbers() {
    var uniforms = RandomSource(seed: 42)
    #expect(
      (0..<3).map { _ in uniforms.uniform() } == [
        0.08386297105988216, 0.3789802506626686, 0.6800434110281394,
      ])
    var normals = RandomSource(seed: 42)
    for expected in [-0.7262191382447857, 0.2216227015035933, 0.46417731016247366] {
      // The logarithm may differ in its last digit from machine to machine.
      #expect(abs(normals.normal() - expected) <= 1e-15)
    }
  }

  @Test func copiesRunOnAlike() {
    var source = RandomSource(seed: 5)
    _ = source.next()
    var copy = source
    #expect((0..<10).map { _ in source.next() } == (0..<10).map { _ in copy.next() })
  }

  /// Bounds are five standard errors for 200 000 draws; the seeds are fixed.
  @Test(arguments: [1, 2, 3] as [UInt64])
  func normalMoments(seed: UInt64) {
    var source = RandomSource(seed: seed)
    let count = 200_000
    let draws = (0..<count).map { _ in source.normal() }
    func moment(_ power: Int) -> Double {
      draws.reduce(0) { sum, x in sum + (0..<power).reduce(1.0) { product, _ in product * x } }
        / Double(count)
    }
    let root = Double(count).squareRoot()
    // Mean 0, variance 1, third moment 0, fourth 3, with variances of x, x², x³, x⁴ of 1, 2, 15, 96.
    #expect(abs(moment(1)) <= 5 / root, "seed \(seed)")
    #expect(abs(moment(2) - 1) <= 5 * 2.0.squareRoot() / root, "seed \(seed)")
    #expect(abs(moment(3)) <= 5 * 15.0.squareRoot() / root, "seed \(seed)")
    #expect(abs(moment(4) - 3) <= 5 * 96.0.squareRoot() / root, "seed \(seed)")
    // The tails are not clipped: 2·Φ(−3) = 0.27 %.
    let tail = Double(draws.filter { abs($0) > 3 }.count) / Double(count)
    #expect(abs(tail - 0.0027) <= 5 * 0.0027.squareRoot() / root, "seed \(seed)")
  }

  @Test func uniformsStayInRange() {
    var source = RandomSource(seed: 4)
    let draws = (0..<100_000).map { _ in source.uniform() }
    #expect(draws.allSatisfy { $0 >= 0 && $0 < 1 })
    let mean = draws.reduce(0, +) / 100_000
    // Five standard errors: the variance is 1/12.
    #expect(abs(mean - 0.5) <= 5 * (1.0 / 12 / 100_000).squareRoot())
    var counts = [Int](repeating: 0, count: 7)
    for _ in 0..<70_000 { counts[source.below(7)] += 1 }
    // Five standard deviations of a binomial of 70 000 and 1/7.
    let spread = 5 * (10_000.0 * 6 / 7).squareRoot()
    #expect(counts.allSatisfy { abs(Double($0) - 10_000) <= spread })
  }

  @Test func tensors() {
    var (a, b) = (RandomSource(seed: 6), RandomSource(seed: 6))
    let normal = Tensor(normal: [3, 5], mean: 10, deviation: 0.5, using: &a)
    #expect(normal == Tensor(normal: [3, 5], mean: 10, deviation: 0.5, using: &b))
    #expect(normal.elements.allSatisfy { $0 > 5 && $0 < 15 })
    let uniform = Tensor(uniform: [200], from: -2, to: -1, using: &a)
    #expect(uniform.elements.allSatisfy { $0 >= -2 && $0 <= -1 })
    #expect(Set(uniform.elements).count > 190)
  }
}
