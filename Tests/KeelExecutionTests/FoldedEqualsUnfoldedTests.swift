import KeelExecution
import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Class identity: what folding and fusing leave computes the same.
@Suite struct FoldedEqualsUnfoldedTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let geometry: ConvolutionGeometry
    var testDescription: String { name }
  }

  /// Groups 1, 2 and 3, depthwise, depthwise with multiplier; kernels and paddings that differ by side.
  static let geometries: [Case] =
    PrimitiveCase.convolutionGeometries.map { Case(name: $0.name, geometry: $0.geometry) } + [
      Case(
        name: "asymmetric everything",
        geometry: try! ConvolutionGeometry(
          height: SpatialAxis(input: 7, window: 4, stride: 2, paddingBefore: 2, paddingAfter: 1),
          width: SpatialAxis(input: 6, window: 2, paddingAfter: 1, dilation: 3),
          inputChannels: 6, outputChannels: 9, groups: 3)),
      Case(
        name: "depthwise, asymmetric padding",
        geometry: try! ConvolutionGeometry(
          height: SpatialAxis(input: 7, window: 5, stride: 2, paddingBefore: 1, paddingAfter: 3),
          width: SpatialAxis(input: 6, window: 3, paddingBefore: 2), inputChannels: 17,
          outputChannels: 17, groups: 17)),
    ]

  @Test(arguments: geometries, [false, true])
  func convolutions(_ test: Case, hasBias: Bool) throws {
    for affine in [false, true] {
      for epsilon in [0, 1e-5, 1e-3, 0.5] as [Float] {
        for activation in [nil, Activation.relu] {
          for isExact in [false, true] {
            var writer = NetworkWriter(seed: 11, isExact: isExact)
            let geometry = test.geometry
            let shape = geometry.inputShape(batch: 1).extents.dropFirst().map(Extent.fixed)
            let x = writer.builder.input("x", ValueType([.batch] + shape))
            let y = try writer.convolution(x, geometry, bias: hasBias, label: "conv")
            let z = try writer.norm(
              y, affine: affine, epsilon: epsilon, epilogue: Epilogue(activation: activation),
              label: "bn")
            writer.builder.output("y", z)
            try expectFoldedEqual(
              writer.builder.finish(), seed: 12, isExact: isExact, folds: 1,
              "\(test.name), affine \(affine), ε \(epsilon), \(activation as Any)")
          }
        }
      }
    }
  }

  @Test(arguments: [false, true], [false, true])
  func linears(hasBias: Bool, affine: Bool) throws {
    for epsilon in [0, 1e-5, 1e-3, 0.5] as [Float] {
      for isExact in [false, true] {
        var writer = NetworkWriter(seed: 13, isExact: isExact)
        let x = writer.builder.input("x", ValueType([.batch, 19]))
        let y = try writer.linear(x, 19, 33, bias: hasBias, label: "linear")
        let z = try writer.norm(y, affine: affine, epsilon: epsilon, label: "bn")
        writer.builder.output("y", z)
        try expectFoldedEqual(
          writer.builder.finish(), seed: 14, isExact: isExact, folds: 1, "ε \(epsilon)")
      }
    }
  }

  @Test func normWithResidualOfItsOwn() throws {
    for isExact in [false, true] {
      var writer = NetworkWriter(seed: 15, isExact: isExact)
      let x = writer.builder.input("x", ValueType([.batch, 5, 5, 4]))
      let y = try writer.convolution(x, sameGeometry(5, 4, 4), bias: true, label: "conv")
      let z = try writer.norm(
        y, epilogue: Epilogue(hasResidual: true, activation: .relu), residual: x, label: "bn")
      writer.builder.output("y", z)
      try expectFoldedEqual(writer.builder.finish(), seed: 16, isExact: isExact, folds: 1)
    }
  }

  @Test func normAfterNorm() throws {
    for isExact in [false, true] {
      var writer = NetworkWriter(seed: 17, isExact: isExact)
      let x = writer.builder.input("x", ValueType([.batch, 5, 5, 4]))
      var y = try writer.convolution(x, sameGeometry(5, 4, 6), label: "conv")
      for index in 0..<3 { y = try writer.norm(y, label: "bn\(index)") }
      writer.builder.output("y", y)
      try expectFoldedEqual(writer.builder.finish(), seed: 18, isExact: isExact, folds: 3)
    }
  }

  @Test(arguments: Array(1...300) as [UInt64])
  func randomNetworks(seed: UInt64) throws {
    try expectFoldedEqual(RandomNetwork.graph(seed: seed), seed: seed)
    try expectFoldedEqual(
      RandomNetwork.graph(seed: seed, isExact: true), seed: seed, isExact: true)
  }

  @Test(arguments: Array(301...340) as [UInt64])
  func fusedTrainingNetworks(seed: UInt64) throws {
    // With the statistics of the batch nothing folds; fusing leaves results and updates as they are.
    let graph = try RandomNetwork.graph(seed: seed).trainingForm()
    let (fused, report) = try graph.fused()
    #expect(report.foldedCount == 0)
    let inputs = try graph.randomInputs(seed: seed, batch: 4)
    let (expected, actual) = try (graph.reference(inputs), fused.reference(inputs))
    #expect(actual.updates.keys.sorted() == expected.updates.keys.sorted())
    for (name, value) in expected.outputs {
      expectClose(actual.outputs[name]!, value, bound: 1e-9, "\(name), seed \(seed)")
    }
    for (name, value) in expected.updates {
      expectClose(actual.updates[name]!, value, bound: 1e-9, "\(name), seed \(seed)")
    }
    let plain = try Interpreter(fused).run(inputs)
    for (name, value) in expected.outputs {
      let floats = try plain.outputs[name]!.floats(at: name)
      expectClose(floats, value, bound: 1e-3, "\(name), seed \(seed)")
    }
  }
}

/// Expects the folded graph to compute what the graph does: in Double up to the rounding of the folded
/// weights (nothing where numbers are exact), in Float through plans and the interpreter within 1e-5.
func expectFoldedEqual(
  _ graph: Graph, seed: UInt64, isExact: Bool = false, folds: Int? = nil, _ what: String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let (folded, report) = try graph.folded()
  let what = "\(what), seed \(seed)\(isExact ? ", exact" : "")"
  if let folds {
    #expect(report.foldedCount == folds, "\(what): \(report)", sourceLocation: sourceLocation)
  }
  let inputs = try graph.randomInputs(seed: seed, isExact: isExact)
  let expected = try graph.reference(inputs).outputs
  let inDouble = try folded.reference(inputs).outputs
  let interpreted = try Interpreter(folded, parallelism: .serial).run(inputs).outputs
  let plan = try Plan(
    folded, inputShapes: inputs.mapValues(\.shape), options: PlanOptions(threads: 2))
  expectSameBits(try plan(inputs), interpreted, what, sourceLocation: sourceLocation)
  let plainPlan = try Plan(graph, inputShapes: inputs.mapValues(\.shape))
  let plain = try plainPlan(inputs)
  for (name, value) in expected {
    // Values behind a norm are of order 1, even where a ReLU leaves only small ones.
    let scale = max(value.largestMagnitude, 1)
    expectClose(
      inDouble[name]!, value, bound: isExact ? Tolerance.double : 1e-6, scale: scale,
      "\(what), \(name), Double",
      sourceLocation: sourceLocation)
    for (kind, outputs) in [("folded", interpreted), ("plain", plain)] {
      expectClose(
        try outputs[name]!.floats(at: name), value, bound: 1e-5, scale: scale,
        "\(what), \(name), \(kind)",
        sourceLocation: sourceLocation)
    }
  }
}
