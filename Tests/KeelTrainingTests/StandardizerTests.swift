import KeelData
import KeelTensor
import KeelTestSupport
import KeelTraining
import Testing

@Suite struct StandardizerTests {
  @Test func byHand() throws {
    // Channel 0: 1, 2, 3, 6 (mean 3, variance 3.5); channel 1: constant.
    let x = try Tensor([1, 5, 2, 5, 3, 5, 6, 5], shape: [4, 2])
    let standardizer = try Standardizer(fitting: x)
    #expect(standardizer.means == [3, 5])
    let deviation = Double(3.5).squareRoot()
    #expect(standardizer.divisors == [deviation, 1])
    let y = try standardizer.apply(x)
    let centered: [Double] = [-2, 0, -1, 0, 0, 0, 3, 0]
    #expect(y.elements == centered.map { Float($0 / deviation) })
    #expect(try Standardizer(.center, fitting: x).apply(x).elements == [-2, 0, -1, 0, 0, 0, 3, 0])
    #expect(try standardizer.inverse(y).elements == x.elements)
  }

  @Test(arguments: [(0, 1), (1e4, 0.1), (-1e6, 30)] as [(Double, Double)])
  func dataHasMean0AndDeviation1(mean: Double, deviation: Double) throws {
    var source = TensorSource(seed: 81)
    let x = source.normal([50, 7, 6, 3], mean: mean, deviation: deviation)
    let standardizer = try Standardizer(fitting: x)
    let y = try standardizer.apply(x)
    let statistics = DoubleTensor(widening: y).channelStatistics
    for c in 0..<3 {
      #expect(abs(statistics.means[c]) <= 1e-6 && abs(statistics.deviations[c] - 1) <= 1e-6)
    }
    let back = try standardizer.inverse(y)
    for i in 0..<x.count {
      let error = abs(Double(back[flat: i]) - Double(x[flat: i]))
      #expect(error <= Double(x[flat: i].ulp) + 1e-6 * deviation)
    }
  }

  @Test func batchesAreMergedExactly() throws {
    var source = TensorSource(seed: 82)
    let x = source.normal([90, 5], mean: 100, deviation: 2)
    let whole = try Standardizer(fitting: x)
    var parts = Standardizer()
    for range in [0..<7, 7..<8, 8..<90] {
      try parts.fit(
        Tensor(
          Array(x.elements[range.lowerBound * 5..<range.upperBound * 5]), shape: [range.count, 5]))
    }
    for c in 0..<5 {
      #expect(abs(parts.means[c] - whole.means[c]) <= 1e-7)
      #expect(abs(parts.divisors[c] / whole.divisors[c] - 1) <= 1e-6)
      #expect(parts.moments[c].count == 90)
    }
  }

  @Test func digitsAndTheirInverse() throws {
    let images = Digits.all.images
    let standardizer = try Standardizer(fitting: images)
    let back = try standardizer.inverse(try standardizer.apply(images))
    expectClose(back, DoubleTensor(widening: images), bound: 1e-6)
  }

  @Test func errors() throws {
    let fitted = try Standardizer(fitting: Tensor([1, 2, 3, 4], shape: [2, 2]))
    func error(_ body: () throws -> Void) -> KeelError? {
      #expect(throws: KeelError.self) { try body() }
    }
    for shape in [[2, 3], [4], []] as [Shape] {
      #expect(error { _ = try fitted.apply(Tensor(zeros: shape)) }?.found == "\(shape)")
      #expect(error { _ = try fitted.inverse(Tensor(zeros: shape)) }?.kind == .shape)
      #expect(
        error {
          var more = fitted
          try more.fit(Tensor(zeros: shape))
        }?.expected == "rows of 2 channels, at least one")
    }
    #expect(error { _ = try Standardizer().apply(Tensor(zeros: [2, 2])) }?.found == "none")
    #expect(error { _ = try Standardizer(fitting: Tensor(zeros: [0, 2])) }?.kind == .shape)
    for bad in [Float.nan, .infinity] {
      var standardizer = fitted
      #expect(
        error { try standardizer.fit(Tensor([1, bad], shape: [1, 2])) }?.found
          == "NaN, infinity or an overflow in channel 1")
      #expect(standardizer == fitted)
    }
  }
}
