import KeelTensor
import KeelTraining
import Testing

@Suite struct AugmentationTests {
  /// An image whose elements all differ and none of which is 0.
  private func image(_ shape: Shape) -> Tensor {
    Tensor(uninitialized: shape) { out in
      for i in out.indices { out[i] = Float(i + 1) }
    }
  }

  /// y[i, j] = x[i − dy, j − dx], 0 outside.
  private func shifted(_ x: Tensor, _ dy: Int, _ dx: Int) -> [Float] {
    let (height, width, channels) = (x.shape[1], x.shape[2], x.shape[3])
    var result: [Float] = []
    for i in 0..<height {
      for j in 0..<width {
        for c in 0..<channels {
          let isInside = (0..<height).contains(i - dy) && (0..<width).contains(j - dx)
          result.append(isInside ? x[0, i - dy, j - dx, c] : 0)
        }
      }
    }
    return result
  }

  private func apply(_ shift: RandomShift, to images: Tensor, seed: UInt64) -> Tensor {
    var source = RandomSource(seed: seed)
    var result = images
    result.withMutableSpan { shift.apply(to: &$0, shape: images.shape, using: &source) }
    return result
  }

  /// Height, width, channels and the largest distance, up to more than the image is large.
  @Test(arguments: [(3, 4, 1, 1), (4, 3, 2, 2), (3, 3, 3, 1), (1, 5, 2, 3), (2, 2, 1, 4)])
  func everyShift(_ height: Int, _ width: Int, _ channels: Int, _ pixels: Int) throws {
    let x = image([1, height, width, channels])
    let shift = try RandomShift(pixels: pixels)
    let distances = -pixels...pixels
    let expected = Set(distances.flatMap { dy in distances.map { dx in shifted(x, dy, dx) } })
    let actual = Set((0..<1000).map { apply(shift, to: x, seed: $0).elements })
    #expect(actual == expected)
  }

  /// Each of the nine shifts is as likely as the others: χ² of 8 degrees of freedom stays under 26.1 in
  /// 999 of 1000 runs. Images of a batch move on their own.
  @Test func shiftsAreEquallyLikely() throws {
    let x = image([1, 3, 3, 1])
    let count = 1800
    let batch = try Tensor((0..<count).flatMap { _ in x.elements }, shape: [count, 3, 3, 1])
    let moved = try apply(RandomShift(pixels: 1), to: batch, seed: 4).elements
    var counts: [[Float]: Int] = [:]
    for i in 0..<count { counts[Array(moved[i * 9..<(i + 1) * 9]), default: 0] += 1 }
    #expect(counts.count == 9)
    let chi = counts.values.reduce(0.0) { $0 + Double(($1 - 200) * ($1 - 200)) / 200 }
    #expect(chi <= 26.1)
  }

  @Test func seeds() throws {
    let batch = image([16, 4, 4, 2])
    let shift = try RandomShift(pixels: 2)
    let once = apply(shift, to: batch, seed: 1)
    #expect(apply(shift, to: batch, seed: 1) == once)
    #expect(apply(shift, to: batch, seed: 2) != once)
    // Each image is one of its own shifts: nothing comes from its neighbours.
    for i in 0..<16 {
      let own = Set(batch.elements[i * 32..<(i + 1) * 32]).union([0])
      #expect(own.isSuperset(of: once.elements[i * 32..<(i + 1) * 32]), "image \(i)")
    }
  }

  @Test func noPixels() throws {
    let batch = image([5, 3, 3, 2])
    #expect(try apply(RandomShift(pixels: 0), to: batch, seed: 1) == batch)
  }

  @Test func farAway() throws {
    let moved = try apply(RandomShift(pixels: Int(Int32.max)), to: image([9, 2, 2, 1]), seed: 1)
    #expect(moved.elements.allSatisfy { $0 == 0 })
  }

  @Test(arguments: [-1, Int.min, Int(Int32.max) + 1, Int.max])
  func badDistances(_ pixels: Int) {
    let error = #expect(throws: KeelError.self) { try RandomShift(pixels: pixels) }
    #expect(
      error?.description
        == "argument error at random shift: expected a distance of at least 0 and below 2³¹, "
        + "found \(pixels)")
  }
}
