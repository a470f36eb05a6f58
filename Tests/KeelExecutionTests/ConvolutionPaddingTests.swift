import KeelExecution
import KeelGraph
import KeelKernels
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Class golden: convolutions with padding modes against PyTorch, from Scripts/golden/convolution_padding.py.
/// All figures are exact.
@Suite struct ConvolutionPaddingTests {
  struct Golden: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let layer: any Layer
    let x: Shape
    let y: Shape
    let values: [[Float]]
  }

  static let goldens: [Golden] = {
    var source = RandomSource(seed: 1)
    return [
      Golden(
        testDescription: "1-D, reflect, stride 2",
        layer: Conv1d(
          2, 1, kernel: 3, stride: 2, padding: 2, paddingMode: .reflect, bias: false,
          using: &source), x: [1, 5, 2], y: [1, 4, 1],
        values: [
          [-46, 8, -5, 21], [8, 4, -15, 25, 14, 2, 0, 0, -12, 4], [-8, 11, 10, -10, -7, -11],
        ]),
      Golden(
        testDescription: "2-D, replicate, padding 1×2",
        layer: Conv2d(
          1, 2, kernel: 3, padding: .each(PerAxis(height: 1, width: 2)), paddingMode: .replicate,
          bias: false, using: &source), x: [1, 2, 3, 1], y: [1, 2, 5, 2],
        values: [
          [
            -28, 52, -68, 0, -1, -19, 38, -20, 15, -36, -1, 40, -41, 0, 10, 1, 13, 4, -30, -16,
          ], [14, -13, 0, 0, 16, -46],
          [20, 3, 5, 35, 26, 16, 5, -8, 2, 31, 51, 24, -24, -12, -11, 8, 0, -27],
        ]),
      Golden(
        testDescription: "2-D, circular, same, even window",
        layer: Conv2d(
          1, 1, kernel: 2, padding: .same, paddingMode: .circular, bias: false, using: &source),
        x: [1, 3, 3, 1], y: [1, 3, 3, 1],
        values: [
          [32, -23, -15, 13, -22, 27, 28, -7, -21], [-2, 22, -4, -13, 19, 0, 19, 27, -38],
          [-18, 62, -10, 29],
        ]),
    ]
  }()

  /// The script's whole numbers.
  private func whole(_ shape: Shape, _ shift: Int) throws -> Tensor {
    var values: [Float] = []
    for i in shift..<shift + shape.elementCount {
      let value: Int = (i * 7 + i * i % 5) % 11 - 5
      values.append(Float(value))
    }
    return try Tensor(values, shape: shape)
  }

  /// The layer's graph with the gradients of Σ cotangent·y.
  private func graph(_ layer: some Layer, _ golden: Golden) throws -> Graph {
    let weight = layer.parameters[0].parameter
    weight.value = try whole(weight.shape, 3)
    var builder = GraphBuilder(
      try Graph(tracing: layer, input: golden.x.extents.map(Extent.fixed)))
    let y = try builder.graph.output(named: "y").value
    let count = golden.y.elementCount
    let cotangent = builder.weight(
      "cotangent", try whole(golden.y, 1).reshaped(to: [1, count]), role: .state)
    let row = try builder.append(.reshape([1, .fixed(count)]), [y])
    let product = try builder.append(.linear(Epilogue()), [row[0], cotangent])
    builder.output("loss", try builder.append(.reshape([]), product)[0])
    return try builder.finish().differentiated(withRespectTo: .named(["x", "weight"]))
  }

  @Test(arguments: goldens)
  func agrees(_ golden: Golden) throws {
    let graph = try graph(golden.layer, golden)
    #expect(
      graph.nodes[0].primitive.name == "pad" && graph.nodes[1].primitive.name == "convolution")
    let inputs = ["x": TensorValue.float32(try whole(golden.x, 0))]
    let names = ["y"] + ["x", "weight"].map(Graph.gradientName)
    let reference = try graph.reference(inputs).outputs
    let interpreted = try Interpreter(graph).run(inputs).outputs
    for (name, values) in zip(names, golden.values) {
      #expect(try interpreted[name]!.floats(at: name).elements == values, "\(name)")
      #expect(reference[name]!.elements == values.map(Double.init), "\(name), reference")
    }
    for threads in [1, 2] {
      let plan = try Plan(
        graph, inputShapes: ["x": golden.x],
        options: PlanOptions(threads: threads, weights: .variable))
      expectSameBits(try plan(inputs), interpreted, "\(threads) threads")
    }
  }
}
