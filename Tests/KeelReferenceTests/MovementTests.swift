import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct MovementTests {
  @Test(arguments: PrimitiveCase.movements)
  func gradients(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 17) }

  private func row(_ axis: AxisMovement, _ x: [Double]) throws -> [Double] {
    try evaluate(.movement(Movement([axis])), [DoubleTensor(x, shape: [x.count])])[0].elements
  }

  @Test func paddings() throws {
    let x: [Double] = [1, 2, 3]
    func pad(_ before: Int, _ after: Int, _ mode: PaddingMode) throws -> [Double] {
      try row(.pad(before: before, after: after, mode), x)
    }
    #expect(try pad(1, 2, .constant(9)) == [9, 1, 2, 3, 9, 9])
    #expect(try pad(2, 2, .reflect) == [3, 2, 1, 2, 3, 2, 1])
    #expect(try pad(2, 1, .replicate) == [1, 1, 1, 2, 3, 3])
    #expect(try pad(2, 3, .circular) == [2, 3, 1, 2, 3, 1, 2, 3])
    #expect(try pad(-1, 1, .zeros) == [2, 3, 0])
  }

  @Test func slices() throws {
    #expect(try row(.slice(start: 1, count: 2, step: 3), [0, 1, 2, 3, 4]) == [1, 4])
  }

  /// Figures of torch.nn.functional.interpolate 2.13 on the row 1, 2, 4, 8.
  @Test(
    arguments: [
      (
        7, Interpolation.linear, ResizeCoordinates.halfPixel,
        [1, 1.3571428, 1.9285713, 3, 4.2857141, 6.5714283, 8]
      ),
      (7, .linear, .alignCorners, [1, 1.5, 2, 3, 4, 6, 8]),
      (7, .nearest(.down), .asymmetric, [1, 1, 2, 2, 4, 4, 8]),
      (7, .nearest(.halfUp), .halfPixel, [1, 1, 2, 4, 4, 8, 8]),
      (3, .linear, .halfPixel, [1.1666666, 3, 7.3333335]),
      (3, .linear, .alignCorners, [1, 3, 8]),
      (3, .nearest(.down), .asymmetric, [1, 2, 4]),
      (1, .linear, .alignCorners, [1]),
    ] as [(Int, Interpolation, ResizeCoordinates, [Double])])
  func resizings(
    to count: Int, _ interpolation: Interpolation, _ coordinates: ResizeCoordinates,
    expected: [Double]
  ) throws {
    let found = try row(
      .resize(to: count, interpolation, coordinates, scale: nil), [1, 2, 4, 8])
    #expect(found.count == expected.count)
    for (a, b) in zip(found, expected) { #expect(abs(a - b) <= 1e-6, "\(found)") }
  }

  @Test func concatenationAndTranspose() throws {
    let a = try DoubleTensor([1, 2, 3, 4], shape: [2, 2])
    let b = try DoubleTensor([5, 6], shape: [2, 1])
    #expect(try evaluate(.concatenation(axis: 1), [a, b])[0].elements == [1, 2, 5, 3, 4, 6])
    #expect(try evaluate(.concatenation(axis: 0), [a, a])[0].shape == [4, 2])
    #expect(try evaluate(.transpose(permutation: [1, 0]), [a])[0].elements == [1, 3, 2, 4])
  }
}
