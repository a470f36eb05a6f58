import KeelTensor
import KeelTestSupport
import Testing

/// The rules by which tests compare, since a comparison that never fails proves nothing.
@Suite struct TestSupportTests {
  private func mismatch(
    _ actual: [Double], _ expected: [Double], bound: Double, scale: Double? = nil
  ) throws -> String? {
    try KeelTestSupport.mismatch(
      DoubleTensor(actual, shape: [1, actual.count]),
      DoubleTensor(expected, shape: [1, expected.count]), bound: bound, scale: scale)
  }

  @Test func errorsAreRelativeToTheLargestExpected() throws {
    #expect(try mismatch([100, 1.5], [100, 1], bound: 0.005) == nil)
    let message = try #require(try mismatch([100, 1.5], [100, 1], bound: 0.004))
    #expect(message.contains("1 of 2 elements"))
    #expect(message.contains("[0, 1]: expected 1.0, found 1.5"))
    #expect(try mismatch([100, 1.5], [100, 1], bound: 0.1, scale: 1) != nil)
  }

  @Test func nanNeverPasses() throws {
    #expect(try mismatch([.nan, 1], [1, 1], bound: 1e9) != nil)
    #expect(try mismatch([1, 1], [.nan, 1], bound: 1e9) != nil)
    #expect(try mismatch([.nan], [.nan], bound: 1e9) != nil)
    let message = try #require(try mismatch([.nan, 7], [1, 1], bound: 1e-3))
    #expect(message.contains("2 of 2") && message.contains("[0, 0]"))
  }

  @Test func infinityPassesOnlyAsItself() throws {
    #expect(try mismatch([.infinity], [.infinity], bound: 0) == nil)
    #expect(try mismatch([-.infinity], [.infinity], bound: 1e9) != nil)
    #expect(try mismatch([1], [.infinity], bound: 1) != nil)
    #expect(try mismatch([.infinity], [1], bound: 1e9) != nil)
    // The error of the finite element does not vanish beside the infinite one.
    #expect(try mismatch([.infinity, 7], [.infinity, 5], bound: 0.3) != nil)
  }

  @Test func zerosMustBeZero() throws {
    #expect(try mismatch([0, -0.0], [0, 0], bound: 1e-6) == nil)
    #expect(try mismatch([1e-30, 0], [0, 0], bound: 1e-6) != nil)
    #expect(try mismatch([1e-30, 0], [0, 0], bound: 1e-6, scale: 1) == nil)
  }

  @Test func shapesMustBeEqual() throws {
    #expect(try mismatch([1, 2], [1, 2, 3], bound: 1) == "expected shape 1×3, found 1×2")
  }

  @Test func standardizedDataHasItsStatistics() {
    var source = TensorSource(seed: 51)
    let data = source.standardized([50, 2], means: [1e4, -3], deviations: [0.1, 7])
    let statistics = data.channelStatistics
    expectClose(statistics.means, [1e4, -3], within: 1e-9, "seed 51")
    expectClose(statistics.deviations, [0.1, 7], within: 1e-9, "seed 51")
  }

  @Test func distinctNumbersAreApart() {
    var source = TensorSource(seed: 52)
    let sorted = source.distinct([4, 9]).elements.sorted()
    #expect(zip(sorted, sorted.dropFirst()).allSatisfy { $1 - $0 == 1.0 / 16 })
  }

  @Test func theSameSeedGivesTheSameCases() throws {
    let test = PrimitiveCase.convolutions[0]
    #expect(test.values(seed: 3) == test.values(seed: 3))
    #expect(test.values(seed: 3) != test.values(seed: 4))
  }
}
