import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct LinearTests {
  @Test func forwardByHand() throws {
    let y = try evaluate(
      .linear(Epilogue(hasBias: true)),
      [
        DoubleTensor([1, 2, 3, 4, 5, 6], shape: [2, 3]),
        DoubleTensor([1, 0, -1, 2, 2, 2], shape: [2, 3]), DoubleTensor([0.5, -1], shape: [2]),
      ])[0]
    #expect(y.shape == [2, 2])
    #expect(y.elements == [-1.5, 11, -1.5, 29])
  }

  @Test func gradientsByHand() throws {
    let x = try DoubleTensor([1, 2, 3, 4, 5, 6], shape: [2, 3])
    let weight = try DoubleTensor([1, 0, -1, 2, 2, 2], shape: [2, 3])
    let dy = try DoubleTensor([1, 10, -1, 100], shape: [2, 2])
    #expect(
      try evaluate(.linearInputGradient, [dy, weight])[0].elements == [21, 20, 19, 199, 200, 201])
    #expect(
      try evaluate(.linearWeightGradient, [x, dy])[0].elements == [-3, -3, -3, 410, 520, 630])
  }

  @Test func longSumsKeepEveryTerm() throws {
    // Lengths around the four interleaved sums of a dot product.
    for length in 1...9 {
      let x = try DoubleTensor((0..<length).map { Double($0 + 1) }, shape: [1, length])
      let ones = DoubleTensor(repeating: 1, shape: [1, length])
      let y = try evaluate(.linear(Epilogue()), [x, ones])[0]
      #expect(y.elements == [Double(length * (length + 1) / 2)])
    }
  }
}
