import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// What correlating with a patch finds, and what becomes of two convolutions in a row.
@Suite struct TemplateMatchingTests {
  /// Correlation with a patch whose mean is subtracted peaks where the patch was planted, on a ground
  /// that has a brighter spot elsewhere.
  @Test(arguments: 1...5 as ClosedRange<UInt64>)
  func thePlantedPatchIsFound(seed: UInt64) throws {
    var source = TensorSource(seed: seed)
    let (side, patchSide, row, column) = (20, 5, 11, 4)
    var image = source.normal([1, side, side, 1], deviation: 0.3).elements
    for i in 2..<7 { for j in 12..<17 { image[i * side + j] += 2 } }
    let patch = source.normal([patchSide, patchSide], deviation: 2).elements
    for i in 0..<patchSide {
      for j in 0..<patchSide { image[(row + i) * side + column + j] += patch[i * patchSide + j] }
    }
    let mean = patch.reduce(0, +) / Float(patch.count)
    let geometry = try ConvolutionGeometry(
      inputHeight: side, inputWidth: side, inputChannels: 1, outputChannels: 1,
      kernel: (patchSide, patchSide))
    let map = try evaluate(
      .convolution(geometry, Epilogue()),
      [
        DoubleTensor(widening: Tensor(image, shape: [1, side, side, 1])),
        DoubleTensor(
          widening: Tensor(patch.map { $0 - mean }, shape: [1, patchSide, patchSide, 1])),
      ])[0].elements
    let width = side - patchSide + 1
    #expect(map.firstIndex(of: map.max()!) == row * width + column, "seed \(seed)")
  }

  /// Two convolutions with nothing between are one, of kernel k₁ + k₂ − 1.
  @Test func twoConvolutionsAreOne() throws {
    var source = TensorSource(seed: 31)
    func random(_ shape: Shape) -> DoubleTensor { DoubleTensor(widening: source.normal(shape)) }
    func convolution(_ side: Int, _ channels: (Int, Int), _ kernel: Int) throws -> Primitive {
      .convolution(
        try ConvolutionGeometry(
          inputHeight: side, inputWidth: side, inputChannels: channels.0,
          outputChannels: channels.1, kernel: (kernel, kernel)), Epilogue())
    }
    let (x, first, second) = (random([1, 7, 7, 2]), random([3, 3, 3, 2]), random([2, 2, 2, 3]))
    let between = try evaluate(convolution(7, (2, 3), 3), [x, first])[0]
    let twice = try evaluate(convolution(5, (3, 2), 2), [between, second])[0]
    // The joint kernel: Σ over the channels between and over the ways to part an offset in two.
    var joint = [Double](repeating: 0, count: 2 * 4 * 4 * 2)
    for o in 0..<2 {
      for m in 0..<3 {
        for (u, v) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
          let outer = second[flat: ((o * 2 + u) * 2 + v) * 3 + m]
          for i in 0..<3 {
            for j in 0..<3 {
              for c in 0..<2 {
                joint[((o * 4 + u + i) * 4 + v + j) * 2 + c] +=
                  outer * first[flat: ((m * 3 + i) * 3 + j) * 2 + c]
              }
            }
          }
        }
      }
    }
    let once = try evaluate(
      convolution(7, (2, 2), 4), [x, DoubleTensor(joint, shape: [2, 4, 4, 2])])[0]
    #expect(once.shape == twice.shape)
    for i in 0..<once.count { #expect(abs(once[flat: i] - twice[flat: i]) <= 1e-11) }
  }

  /// Worked example 1: the means of a 3×4 matrix along its axes, and the matrix centered along both.
  @Test func meansOfAMatrix() throws {
    let x = try DoubleTensor([1, 0, 0, -9, 1, -1, 3, -5, 3, 1, 1, 7], shape: [3, 4])
    func mean(_ axes: [Int]) throws -> DoubleTensor {
      try evaluate(.reduction(Reduction(.mean, axes: axes, keepsAxes: true)), [x])[0]
    }
    func expect(_ found: DoubleTensor, _ expected: [Double]) {
      for (a, b) in zip(found.elements, expected) { #expect(abs(a - b) <= 5e-5) }
    }
    let (rows, columns, all) = try (mean([1]), mean([0]), mean([0, 1]))
    expect(rows, [-2, -0.5, 3])
    expect(columns, [5.0 / 3, 0, 4.0 / 3, -7.0 / 3])
    expect(all, [1.0 / 6])
    var centered = try evaluate(.arithmetic(.subtract), [x, rows])[0]
    centered = try evaluate(.arithmetic(.subtract), [centered, columns])[0]
    centered = try evaluate(.add, [centered, all])[0]
    expect(
      centered,
      [1.5, 2.1667, 0.8333, -4.5, 0, -0.3333, 2.3333, -2, -1.5, -1.8333, -3.1667, 6.5])
  }
}
