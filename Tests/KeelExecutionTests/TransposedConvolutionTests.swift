import KeelExecution
import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Transposed convolutions in graphs: fusing, plans, special values.
@Suite struct TransposedConvolutionTests {
  private static func upsampling(_ groups: Int = 1, kernel: Int = 3) throws -> ConvolutionGeometry {
    try .transposed(
      inputs: [4, 5], inputChannels: 6, outputChannels: groups == 6 ? 6 : 10,
      kernel: [kernel, kernel], stride: [2, 2], groups: groups)
  }

  /// A transposed convolution, a residual add and an activation become one operation.
  @Test(arguments: [1, 2, 6], [Activation.relu, .silu])
  func takesInAddAndActivation(groups: Int, activation: Activation) throws {
    let geometry = try Self.upsampling(groups)
    let result = geometry.inputShape(batch: 1)
    var writer = NetworkWriter(seed: 41)
    let x = writer.builder.input("x", ValueType([.batch, 4, 5, 6]))
    let skip = writer.builder.input(
      "skip", ValueType([.batch] + result.extents.dropFirst().map(Extent.fixed)))
    let y = try writer.transposedConvolution(x, geometry, bias: true, label: "up")
    writer.builder.output("y", try writer.activation(activation, writer.add(y, skip)))
    let graph = try writer.builder.finish()
    let (folded, report) = try graph.folded()
    #expect(report.fusedCount == 2 && report.keptCount == 0)
    #expect(folded.nodes.count == 1)
    #expect(
      folded.nodes[0].primitive.epilogue
        == Epilogue(hasBias: true, hasResidual: true, activation: activation))
    let inputs = try graph.randomInputs(seed: 42, batch: 3)
    let expected = try Interpreter(graph).run(inputs).outputs
    for weights in [PlanOptions.Weights.constant, .variable] {
      for threads in [1, 2] {
        let plan = try Plan(
          folded, inputShapes: inputs.mapValues(\.shape),
          options: PlanOptions(threads: threads, weights: weights))
        expectClose(
          try plan(inputs)["y"]!.floats(at: "y"), try folded.reference(inputs).outputs["y"]!,
          bound: Tolerance.transposedConvolution(geometry) * 2)
        // Elementwise loops give an element the same bits wherever it stands.
        expectSameBits(try plan(inputs), expected, "\(weights), \(threads) threads")
      }
    }
  }

  @Test func constantWeightsArePackedOnce() throws {
    let geometry = try ConvolutionGeometry.transposed(
      inputs: [4, 4], inputChannels: 64, outputChannels: 64, kernel: [3, 3], stride: [2, 2])
    var writer = NetworkWriter(seed: 43)
    let x = writer.builder.input("x", ValueType([.batch, 4, 4, 64]))
    writer.builder.output("y", try writer.transposedConvolution(x, geometry, label: "up"))
    let graph = try writer.builder.finish()
    func bytes(_ weights: PlanOptions.Weights) throws -> Int {
      try Plan(
        graph, inputShapes: ["x": [1, 4, 4, 64]],
        options: PlanOptions(threads: 1, weights: weights)
      ).byteCount
    }
    // A variable weight is in the workspace, and so is its packed form.
    #expect(try bytes(.variable) >= bytes(.constant) + 2 * 4 * geometry.weightCount)
  }

  /// A fused graph's gradient: the epilogue's activation first, then each operand.
  @Test(arguments: [1, 2, 6])
  func gradientThroughTheEpilogue(groups: Int) throws {
    let geometry = try Self.upsampling(groups)
    var writer = NetworkWriter(seed: 44)
    let x = writer.builder.input("x", ValueType([2, 4, 5, 6]))
    let y = try writer.transposedConvolution(x, geometry, bias: true, label: "up")
    writer.builder.output("y", try writer.activation(.tanh, y))
    let graph = try writer.builder.finish()
    let names = ["x", "up.weight", "up.bias"]
    func gradients(_ graph: Graph) throws -> Graph {
      try graph.contracted("y", seed: 45)
        .differentiated(contractedName, withRespectTo: .named(names))
    }
    let inputs = try graph.randomInputs(seed: 46)
    let expected = try gradients(graph).reference(inputs).outputs
    let actual = try Interpreter(gradients(graph.fused().graph)).run(inputs).outputs
    for name in names.map(Graph.gradientName) {
      expectClose(
        try actual[name]!.floats(at: name), expected[name]!,
        bound: Tolerance.reduction(length: 1600), name)
    }
  }

  /// NaN and infinity reach the pixels that taps carry them to, as in the reference, and no others.
  @Test(arguments: [1, 2, 6], [1, 2, 3])
  func specialValuesStayInTheirWindows(groups: Int, kernel: Int) throws {
    let geometry = try Self.upsampling(groups, kernel: kernel)
    var source = TensorSource(seed: 47)
    // Weights above 0, so that ReLU lets infinity through.
    let weight = source.uniform(geometry.weightShape, from: 0.5, to: 2)
    let bias = source.normal([geometry.inputChannels])
    for special in [Float.nan, .infinity, -.infinity] {
      var x = source.normal(geometry.outputShape(batch: 2))
      x[1, 2, 3, 4] = special
      let operation = Primitive.transposedConvolution(
        geometry, Epilogue(hasBias: true, activation: .relu))
      let y = try apply(operation, [.float32(x), .float32(weight), .float32(bias)])
      let expected = try evaluate(
        operation, [x, weight, bias].map { DoubleTensor(widening: $0) })[0]
      var count = 0
      for i in 0..<y.count {
        let (found, exact) = (Double(y[flat: i]), expected[flat: i])
        if !exact.isFinite { count += 1 }
        #expect(
          exact.isFinite
            ? abs(found - exact) <= 1e-4 : exact.isNaN ? found.isNaN : found == exact,
          "\(special) at \(i): expected \(exact), found \(found)")
      }
      #expect(special == -.infinity || count > 0)
    }
  }
}
