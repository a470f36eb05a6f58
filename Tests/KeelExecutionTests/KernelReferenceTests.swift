import KeelExecution
import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Class reference: every kernel, forward and backward, against the Double evaluator.
@Suite struct KernelReferenceTests {
  @Test(
    arguments: PrimitiveCase.convolutions + PrimitiveCase.linears + PrimitiveCase.normalizations
      + PrimitiveCase.momentTables + PrimitiveCase.mixtures
      + PrimitiveCase.poolings + PrimitiveCase.activations + PrimitiveCase.losses
      + PrimitiveCase.movements + PrimitiveCase.selections + PrimitiveCase.others
      + PrimitiveCase.transposedConvolutions
      + PrimitiveCase.weightGradients,
    [1, 2] as [UInt64])
  func agreesWithReference(_ test: PrimitiveCase, seed: UInt64) throws {
    try expectKernelsAgree(test, seed: seed)
  }

  @Test(arguments: KernelCases.convolutions)
  func convolutionsAroundTileAndVectorEdges(_ test: PrimitiveCase) throws {
    try expectKernelsAgree(test, seed: 3)
  }

  @Test(
    arguments: PrimitiveCase.gatheringMoments(PrimitiveCase.convolutions + KernelCases.convolutions)
  )
  func convolutionsWithMoments(_ test: PrimitiveCase) throws {
    try expectKernelsAgree(test, seed: 5)
  }

  @Test(arguments: KernelCases.transposedConvolutions)
  func transposedConvolutionsAroundTileAndVectorEdges(_ test: PrimitiveCase) throws {
    try expectKernelsAgree(test, seed: 7)
  }

  @Test(arguments: PrimitiveCase.combinedGeometries)
  func combinationsOfStrideDilationPaddingAndGroups(_ geometry: ConvolutionGeometry) throws {
    let epilogue = Epilogue(hasBias: true)
    let padding = geometry.axes.map { "\($0.paddingBefore)+\($0.paddingAfter)" }
    let name = "\(geometry), padding \(padding)"
    try expectKernelsAgree(.convolution(name, geometry, epilogue), seed: 9)
    try expectKernelsAgree(
      .transposedConvolution("transposed \(name)", geometry, epilogue), seed: 9)
  }

  @Test(arguments: KernelCases.volumes)
  func sequencesAndVolumesAroundTileEdges(_ test: PrimitiveCase) throws {
    try expectKernelsAgree(test, seed: 8)
  }

  @Test(arguments: KernelCases.normalizations)
  func normalizationsAroundChunkAndVectorEdges(_ test: PrimitiveCase) throws {
    try expectKernelsAgree(test, seed: 4)
  }

  // No element of this seed's is so close to 0 that rounding decides whether it is active.
  @Test(arguments: KernelCases.largePartitions)
  func partitionsOfManyTasks(_ test: PrimitiveCase) throws {
    try expectKernelsAgree(test, seed: 14)
  }

  @Test(arguments: PrimitiveCase.blockMaps + KernelCases.blockMaps)
  func blockMaps(_ test: PrimitiveCase) throws {
    try expectKernelsAgree(test, seed: 29)
  }

  @Test(arguments: NormalizationGraphs.compositions + WhiteningGraphs.compositions)
  func compositionsOfNormalizations(_ test: NormalizationGraphs.Composition) throws {
    let graph = try test.graph(seed: 24).contracted("y", seed: 24)
      .differentiated(contractedName, withRespectTo: .named(test.names))
    let expected = try graph.reference([:]).outputs
    for threads in [1, 2] {
      let actual = try Interpreter(graph, parallelism: Parallelism(threads: threads)).run([:])
      for name in expected.keys.sorted() {
        expectClose(
          try actual.outputs[name]!.floats(at: name), expected[name]!, bound: 1e-5,
          scale: name == contractedName ? 5 : nil, "\(test), \(name), \(threads) threads")
      }
    }
  }

  @Test(arguments: KernelCases.activations)
  func activationsAroundVectorEdges(_ test: PrimitiveCase) throws {
    try expectKernelsAgree(test, seed: 6)
  }

  @Test(arguments: KernelCases.poolings)
  func poolingsAroundVectorAndBandEdges(_ test: PrimitiveCase) throws {
    try expectKernelsAgree(test, seed: 9)
  }

  @Test(arguments: KernelCases.losses)
  func lossesAroundVectorAndBlockEdges(_ test: PrimitiveCase) throws {
    try expectKernelsAgree(test, seed: 7)
  }

  @Test(
    arguments: PrimitiveCase.arithmetic + PrimitiveCase.functions + PrimitiveCase.reductions
      + PrimitiveCase.choices
      + PrimitiveCase.learnedActivations + PrimitiveCase.dropouts, [1, 2] as [UInt64])
  func arithmeticAgreesWithReference(_ test: PrimitiveCase, seed: UInt64) throws {
    try expectKernelsAgree(test, seed: seed)
  }

  @Test(arguments: KernelCases.arithmetic)
  func arithmeticAroundVectorEdges(_ test: PrimitiveCase) throws {
    try expectKernelsAgree(test, seed: 7)
  }

  @Test(arguments: KernelCases.reductions)
  func reductionsAroundChunkAndVectorEdges(_ test: PrimitiveCase) throws {
    try expectKernelsAgree(test, seed: 8)
  }

  @Test(arguments: KernelCases.movements)
  func movementsOfManyTasks(_ test: PrimitiveCase) throws {
    try expectKernelsAgree(test, seed: 7)
  }

  @Test(arguments: KernelCases.selections)
  func selectionsAroundVectorAndTaskEdges(_ test: PrimitiveCase) throws {
    try expectKernelsAgree(test, seed: 10)
  }

  @Test(arguments: KernelCases.others)
  func othersAroundTileAndVectorEdges(_ test: PrimitiveCase) throws {
    try expectKernelsAgree(test, seed: 5)
  }
}

/// Runs a case and all its gradients by the interpreter and by a plan with variable weights, at one and
/// two threads: each agrees with the Double evaluator, and all agree with each other bit for bit.
func expectKernelsAgree(
  _ test: PrimitiveCase, seed: UInt64, sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let graph = try test.graph(seed: seed).contracted("y", seed: seed)
    .differentiated(contractedName, withRespectTo: .named(test.differentiableNames))
  var inputs: [String: TensorValue] = [:]
  for (operand, value) in zip(test.operands, test.values(seed: seed)) {
    if value.elementType != .float32 { inputs[operand.name] = value }
  }
  let expected = try ReferenceEvaluator(graph).run(test.inputs(seed: seed))
  let shapes = inputs.mapValues(\.shape)
  var first: [String: TensorValue]?
  for threads in [1, 2] {
    let interpreted = try Interpreter(graph, parallelism: Parallelism(threads: threads))
      .run(inputs)
    let plan = try Plan(
      graph, inputShapes: shapes, options: PlanOptions(threads: threads, weights: .variable))
    let planned = try plan(inputs)
    for name in expected.outputs.keys.sorted() {
      let what = "\(test.name), \(name), seed \(seed), \(threads) threads"
      let actual = try interpreted.outputs[name]!.floats(at: name)
      // The contracted sum may cancel: its error is that of its terms.
      let y = expected.outputs["y"]!
      let scale =
        switch name {
        case contractedName: y.largestMagnitude * Double(y.count).squareRoot()
        case "y": try test.scaleOfTerms(seed: seed)
        default: nil as Double?
        }
      let bound = max(test.bound, Tolerance.reduction(length: y.count))
      expectClose(
        actual, expected.outputs[name]!, bound: bound, scale: scale, what,
        sourceLocation: sourceLocation)
      #expect(
        actual.elements.map(\.bitPattern)
          == (try planned[name]!.floats(at: name)).elements.map(\.bitPattern),
        "\(what): plan and interpreter differ", sourceLocation: sourceLocation)
      if let first {
        #expect(
          actual.elements.map(\.bitPattern)
            == (try first[name]!.floats(at: name)).elements.map(\.bitPattern),
          "\(what): threads change the result", sourceLocation: sourceLocation)
      }
    }
    first = interpreted.outputs
  }
}

extension PrimitiveCase {
  /// The bound for all results and gradients of a case: the longest sum among them, which for weights
  /// runs over the batch's positions and for the contracted output over all elements.
  var bound: Double {
    let elements = operands.map(\.shape.elementCount).max() ?? 1
    return Tolerance.reduction(length: elements)
  }

  /// What the errors of a sum or mean are relative to, since it may cancel: its terms, added at random.
  func scaleOfTerms(seed: UInt64) throws -> Double? {
    guard case .reduction(let reduction) = primitive,
      reduction.kind == .sum || reduction.kind == .mean
    else { return nil }
    let x = DoubleTensor(widening: try values(seed: seed)[0].floats(at: "x"))
    let length = Double(reduction.axes.reduce(1) { $0 * operands[0].shape[$1] })
    return x.largestMagnitude * length.squareRoot() / (reduction.kind == .mean ? length : 1)
  }
}
