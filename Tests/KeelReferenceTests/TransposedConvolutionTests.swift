import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct TransposedConvolutionTests {
  /// ⟨conv(x, w), y⟩ = ⟨x, convT(y, w)⟩.
  @Test(
    arguments: (PrimitiveCase.convolutionGeometries + PrimitiveCase.transposedGeometries).indices)
  func isTheAdjointOfTheConvolution(index: Int) throws {
    let (name, geometry) =
      (PrimitiveCase.convolutionGeometries + PrimitiveCase.transposedGeometries)[index]
    var source = TensorSource(seed: 31)
    let x = DoubleTensor(widening: source.normal(geometry.inputShape(batch: 2)))
    let y = DoubleTensor(widening: source.normal(geometry.outputShape(batch: 2)))
    let weight = DoubleTensor(widening: source.normal(geometry.weightShape))
    let forward = try evaluate(.convolution(geometry, Epilogue()), [x, weight])[0]
    let backward = try evaluate(.transposedConvolution(geometry, Epilogue()), [y, weight])[0]
    func product(_ a: DoubleTensor, _ b: DoubleTensor) -> Double {
      zip(a.elements, b.elements).reduce(0) { $0 + $1.0 * $1.1 }
    }
    let (left, right) = (product(forward, y), product(x, backward))
    #expect(abs(left) > 1e-3, "\(name)")
    #expect(abs(left - right) <= Tolerance.double * Double(x.count), "\(name), seed 31")
  }

  // MARK: Golden figures, from Scripts/golden/transposed_convolution.py

  struct Golden: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let geometry: ConvolutionGeometry
    let y: [Double], dx: [Double], dWeight: [Double], dBias: [Double]
  }

  static let golden = [
    Golden(
      testDescription: "1-D, stride 2, output padding above the stride",
      geometry: try! .transposed(
        inputs: [3], inputChannels: 2, outputChannels: 2, kernel: [2], stride: [2], padding: [1],
        outputPadding: [2], dilation: [3]),
      y: [-3, 5, -15, 9, 24, -23, -19, 9, -17, 17, -3, 5, -21, 18, -3, 5],
      dx: [34, -17, -9, 9, -39, 29], dWeight: [4, 4, 27, -37, -8, -4, -23, 32], dBias: [5, -4]),
    Golden(
      testDescription: "2-D, 2 groups, stride 2×1, output padding 1×0",
      geometry: try! .transposed(
        inputs: [2, 2], inputChannels: 4, outputChannels: 2, kernel: [3, 2], stride: [2, 1],
        padding: [1, 0], outputPadding: [1, 0], groups: 2),
      y: [
        0, 9, -37, -20, 22, 21, -1, -12, -2, 13, 0, 37, -19, 28, -16, 15, -38, -16, 5, -12, -39,
        14, -13, -8,
      ], dx: [-3, -14, -1, -14, 7, 51, 2, -30, -13, -7, -3, 41, -34, 56, 31, 4],
      dWeight: [
        -20, 20, -24, 19, -12, -3, 24, 8, 25, 1, -12, 14, 5, 26, 29, 11, -3, -21, -1, -1, 22, 28,
        -17, -15,
      ], dBias: [-6, 1]),
    Golden(
      testDescription: "3-D, depthwise",
      geometry: try! .transposed(
        inputs: [2, 1, 2], inputChannels: 2, outputChannels: 2, kernel: [2, 1, 2],
        stride: [1, 2, 2], groups: 2),
      y: [
        7, 17, -13, 5, -7, -3, 1, 5, 8, 5, -24, 2, -19, 13, 17, 7, -9, -7, 7, 8, -18, 21, 22, 1,
      ], dx: [-42, 9, 13, 2, -22, 9, -27, -23],
      dWeight: [-3, 15, -22, -9, -21, 13, -9, -24], dBias: [-6, 1]),
  ]

  @Test(arguments: golden)
  func equalsPyTorch(_ test: Golden) throws {
    func whole(_ shape: Shape, _ shift: Int) throws -> Tensor {
      let numbers = (shift..<shift + shape.elementCount).map { i -> Float in
        let residue = (i * 7 + i * i % 5) % 11
        return Float(residue - 5)
      }
      return try Tensor(numbers, shape: shape)
    }
    let geometry = test.geometry
    var builder = GraphBuilder()
    let operands = [
      builder.weight("x", try whole(geometry.outputShape(batch: 1), 0)),
      builder.weight("weight", try whole(geometry.weightShape, 3)),
      builder.weight("bias", try whole([geometry.inputChannels], 5)),
    ]
    let y = try builder.append(
      .transposedConvolution(geometry, Epilogue(hasBias: true)), operands)[0]
    builder.output("y", y)
    // Σ y·dy, by a product of a row and a column.
    let count = geometry.inputShape(batch: 1).elementCount
    let dy = builder.weight("dy", try whole([1, count], 1), role: .state)
    let row = try builder.append(.reshape([1, .fixed(count)]), [y])[0]
    let sum = try builder.append(.linear(Epilogue()), [row, dy])
    builder.output("sum", try builder.append(.reshape([]), sum)[0])
    let graph = try builder.finish().differentiated(
      "sum", withRespectTo: .named(["x", "weight", "bias"]))
    let outputs = try ReferenceEvaluator(graph).run([:]).outputs
    #expect(outputs["y"]?.elements == test.y)
    for (name, expected) in [("x", test.dx), ("weight", test.dWeight), ("bias", test.dBias)] {
      #expect(outputs[Graph.gradientName(name)]?.elements == expected, "gradient of \(name)")
    }
  }
}
