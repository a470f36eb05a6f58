import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct PoolingTests {
  private func geometry(
    _ kind: PoolingGeometry.Kind, size: Int, window: Int, stride: Int, padding: Int = 0
  ) throws -> PoolingGeometry {
    try PoolingGeometry(
      kind, inputHeight: size, inputWidth: size, channels: 1, window: (window, window),
      stride: (stride, stride), padding: (padding, padding))
  }

  @Test func averagesWithAndWithoutPadding() throws {
    let x = WorkedExamples.image([[4, 8], [12, 16]])
    for (countsPadding, expected) in [
      (true, [1.0, 2, 3, 4]), (false, [4, 8, 12, 16]),
    ] {
      let geometry = try geometry(
        .average(countsPadding: countsPadding), size: 2, window: 2, stride: 2, padding: 1)
      #expect(try evaluate(.pooling(geometry), [x])[0].elements == expected)
    }
    let whole = try geometry(.average(countsPadding: true), size: 2, window: 2, stride: 1)
    #expect(try evaluate(.pooling(whole), [x])[0].elements == [10])
  }

  @Test func paddingIsBelowEveryNumber() throws {
    let x = WorkedExamples.image([[-4, -8], [-12, -16]])
    let geometry = try geometry(.maximum, size: 2, window: 2, stride: 2, padding: 1)
    #expect(try evaluate(.pooling(geometry), [x])[0].elements == [-4, -8, -12, -16])
    let lowest = WorkedExamples.image([[-.infinity, -.infinity], [-.infinity, -.infinity]])
    #expect(try evaluate(.pooling(geometry), [lowest])[0].elements.allSatisfy { $0 == -.infinity })
  }

  @Test(arguments: 0..<4)
  func nanWinsWhereverItStands(position: Int) throws {
    var x = WorkedExamples.image([[1, 5], [5, 2]])
    x[flat: position] = .nan
    let geometry = try geometry(.maximum, size: 2, window: 2, stride: 2)
    #expect(try evaluate(.pooling(geometry), [x])[0][flat: 0].isNaN)
    let dx = try evaluate(
      .poolingGradient(geometry), [DoubleTensor(repeating: 3, shape: [1, 1, 1, 1]), x])
    #expect(dx[0].elements == (0..<4).map { $0 == position ? 3 : 0 })
  }

  @Test func gradientsOfOverlappingWindowsAddUp() throws {
    let x = WorkedExamples.image([[0, 0, 0], [0, 9, 0], [0, 0, 0]])
    let geometry = try geometry(.maximum, size: 3, window: 2, stride: 1)
    let dy = WorkedExamples.image([[1, 2], [3, 4]])
    #expect(
      try evaluate(.poolingGradient(geometry), [dy, x])[0]
        == WorkedExamples.image([[0, 0, 0], [0, 10, 0], [0, 0, 0]]))
    let average = try self.geometry(.average(countsPadding: true), size: 3, window: 2, stride: 1)
    #expect(
      try evaluate(.poolingGradient(average), [dy])[0]
        == WorkedExamples.image([[0.25, 0.75, 0.5], [1, 2.5, 1.5], [0.75, 1.75, 1]]))
  }

  @Test func globalAverageByHand() throws {
    let x = try DoubleTensor(
      nchw: [1, 2, 3, 6, 10, 10, 10, 30], batch: 1, channels: 2, height: 2, width: 2)
    #expect(try evaluate(.reduction(Reduction(.mean, axes: [1, 2])), [x])[0].elements == [3, 15])
    let dx = try evaluate(
      .expand([1, 2, 2, 2], divides: true), [DoubleTensor([4, 8], shape: [1, 1, 1, 2])])[0]
    #expect(dx.nchw == [1, 1, 1, 1, 2, 2, 2, 2])
  }

  @Test(arguments: PoolingGolden.all.indices)
  func agreesWithPyTorch(index: Int) throws {
    let golden = PoolingGolden.all[index]
    let geometry = golden.geometry
    let y = try evaluate(.pooling(geometry), [golden.x])[0]
    expectClose(y, try DoubleTensor(golden.y, shape: y.shape), bound: Tolerance.double, "y")
    var operands = [golden.dy]
    if geometry.kind == .maximum { operands = [golden.dy, golden.x] }
    if geometry.kind == .l2 { operands = [golden.dy, golden.x, y] }
    let dx = try evaluate(.poolingGradient(geometry), operands)[0]
    expectClose(dx, try DoubleTensor(golden.dx, shape: dx.shape), bound: Tolerance.double, "dx")
    if let indices = golden.indices {
      let results = try evaluate(.maxPoolingWithIndices(geometry), [golden.x])
      #expect(results[1].elements == indices.map(Double.init) && results[0] == y)
    }
  }

  @Test func l2ByHand() throws {
    let geometry = try geometry(.l2, size: 2, window: 2, stride: 2)
    let x = WorkedExamples.image([[1, -2], [4, 10]])
    let y = try evaluate(.pooling(geometry), [x])[0]
    #expect(y.elements == [11])
    let dy = DoubleTensor(repeating: 22, shape: [1, 1, 1, 1])
    #expect(try evaluate(.poolingGradient(geometry), [dy, x, y])[0].elements == [2, -4, 8, 20])
  }
}
