import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Norms of positions and over any axes, and double centering.
@Suite struct VectorNormTests {
  private func lengths(_ y: Tensor) -> [Double] {
    let c = y.shape.channelCount
    return (0..<y.shape.rowCount).map { row in
      (0..<c).reduce(0) { $0 + Double(y[flat: row * c + $1]) * Double(y[flat: row * c + $1]) }
        .squareRoot()
    }
  }

  @Test func byHand() throws {
    let x = try Tensor([3, 4, 0, 0], shape: [2, 2])
    let root = 12.5.squareRoot()
    expectNumbers(try y(PixelNorm(), x), [3 / root, 4 / root, 0, 0])
    expectNumbers(try y(PixelNorm(.sum), x), [0.6, 0.8, 0, 0])
    expectNumbers(try y(L2Norm(), x), [0.6, 0.8, 0, 0])
    // Below the floor, the length is not divided by.
    expectNumbers(try y(L2Norm(epsilon: 10), x), [0.3, 0.4, 0, 0])
    let affine = L2Norm(affine: 2)
    affine.scale!.value = try Tensor([5, 10], shape: [2])
    affine.shift!.value = try Tensor([1, -1], shape: [2])
    expectNumbers(try y(affine, x), [4, 7, 1, -1])
  }

  /// The mean gives vectors the length √C, the sum 1.
  @Test func lengths() throws {
    let x = try TensorValue.normal([2, 3, 3, 9]).floats(at: "x")
    let rows = x.shape.rowCount
    expectClose(
      lengths(try y(PixelNorm(), x)), Array(repeating: 3, count: rows), within: 2e-6)
    expectClose(
      lengths(try y(PixelNorm(.sum), x)), Array(repeating: 1, count: rows), within: 1e-6)
    expectClose(lengths(try y(L2Norm(), x)), Array(repeating: 1, count: rows), within: 1e-6)
    expectClose(
      lengths(try y(Sequential(InstanceNorm(9), L2Norm()), x)), Array(repeating: 1, count: rows),
      within: 1e-6)
  }

  @Test func axesThatAreNamedMethods() throws {
    func test(_ layer: some Layer) -> NormCase {
      NormCase("\(type(of: layer))", layer, NormCase.image)
    }
    // With ε of 0, inside and beside the root are the same.
    for (axes, layer) in [
      ([0, 1, 2], BatchNorm(4, epsilon: 0, affine: false, tracksRunningStatistics: false)),
      ([1, 2], InstanceNorm(4, epsilon: 0)),
      ([1, 2, 3], LayerNorm([2, 3, 4], epsilon: 0, affine: false)),
      ([-1], LayerNorm(4, epsilon: 0, affine: false)),
      ([0, 1, 2, 3], WholeTensorNorm(4, epsilon: 0, affine: false)),
    ] as [([Int], any Layer)] {
      try expectSame(
        test(MeanVarianceNorm(axes: axes, epsilon: 0)),
        NormCase("layer", Recorded { layer($0) }, NormCase.image))
    }
  }

  private struct Recorded: Layer {
    let body: @Sendable (Variable) -> Variable
    func callAsFunction(_ x: Variable) -> Variable { body(x) }
  }

  @Test func epsilonStandsBesideTheRoot() throws {
    // Deviation 1 and ε 1: half.
    let x = try Tensor([1, 3, 1, 3], shape: [4, 1])
    expectNumbers(try y(MeanVarianceNorm(axes: [0], epsilon: 1), x), [-0.5, 0.5, -0.5, 0.5])
    expectNumbers(
      try y(WholeTensorNorm(1, epsilon: 3), x), [-0.5, 0.5, -0.5, 0.5])
  }

  // MARK: Double centering

  /// A lecture's matrix: row means −2, −0.5, 3, column means 5/3, 0, 4/3, −7/3, mean 1/6.
  @Test func aLecturesMatrix() throws {
    let x = try Tensor([1, 0, 0, -9, 1, -1, 3, -5, 3, 1, 1, 7], shape: [3, 4])
    let centered = [
      1.5, 13 / 6.0, 5 / 6.0, -4.5, 0, -1 / 3.0, 7 / 3.0, -2, -1.5, -11 / 6.0, -19 / 6.0, 6.5,
    ]
    expectNumbers(try y(DoubleCentering(), x), centered, within: 1e-6)
    let trace = Trace(model: (), mode: .inference)
    let input = trace.input("x", ValueType([3, 4]))
    trace.output("rows", input.moments(.position).momentsMean)
    trace.output("columns", input.moments(.batch).momentsMean)
    trace.output("all", input.moments(.whole).momentsMean)
    let means = try trace.finish().reference(["x": .float32(x)]).outputs
    expectClose(means["rows"]!.elements, [-2, -0.5, 3], within: 1e-12)
    expectClose(means["columns"]!.elements, [5 / 3.0, 0, 4 / 3.0, -7 / 3.0], within: 1e-12)
    expectClose(means["all"]!.elements, [1 / 6.0], within: 1e-12)
  }

  /// Squared distances of points, doubly centered and halved, are the negative products of the points.
  @Test func classicalScaling() throws {
    let points: [(Float, Float)] = [(1, 2), (-1, 0), (2, -2), (-2, 0)]
    let distances = Tensor(uninitialized: [4, 4]) { out in
      for i in out.indices {
        let (a, b) = (points[i / 4], points[i % 4])
        out[i] = (a.0 - b.0) * (a.0 - b.0) + (a.1 - b.1) * (a.1 - b.1)
      }
    }
    let products = (0..<16).map { i in
      let (a, b) = (points[i / 4], points[i % 4])
      return -2 * Double(a.0 * b.0 + a.1 * b.1)
    }
    expectNumbers(try y(DoubleCentering(), distances), products, within: 1e-5)
  }
}
