import KeelGraph
import KeelTensor
import KeelTestSupport
import Testing

/// Operands that do not fit, and what the error must say about them.
struct Misfit: Sendable, CustomTestStringConvertible {
  let primitive: Primitive
  let inputs: [ValueType]
  let expected: String
  let found: String

  init(_ primitive: Primitive, _ inputs: [ValueType], expected: String, found: String) {
    self.primitive = primitive
    self.inputs = inputs
    self.expected = expected
    self.found = found
  }

  var testDescription: String { "\(primitive.name): \(expected)" }
}

@Suite struct ShapeInferenceTests {
  static let geometry = try! ConvolutionGeometry(
    inputHeight: 8, inputWidth: 6, inputChannels: 4, outputChannels: 10, kernel: (3, 3),
    stride: (2, 2), padding: (1, 1), groups: 2)
  static let image: ValueType = ValueType([.batch, 8, 6, 4])
  static let result: ValueType = ValueType([.batch, 4, 3, 10])
  static let weight: ValueType = ValueType([10, 3, 3, 2])
  static let channels: ValueType = ValueType([4])
  static let moments: ValueType = ValueType([4, 4])
  static let labels = ValueType(.int64, [.batch])
  static let vectors: ValueType = ValueType([.batch, 5])

  static func normalization(
    _ statistics: Normalization.Statistics, _ recovery: Normalization.Recovery = .none,
    _ epilogue: Epilogue = Epilogue()
  ) -> Normalization {
    try! Normalization(statistics: statistics, recovery: recovery, epilogue: epilogue)
  }

  static func pooling(_ kind: PoolingGeometry.Kind) -> PoolingGeometry {
    try! PoolingGeometry(
      kind, inputHeight: 8, inputWidth: 6, channels: 4, window: (2, 2), stride: (2, 2))
  }
  static let pooled: ValueType = ValueType([.batch, 4, 3, 4])

  // MARK: What fits

  static let fitting: [(Primitive, [ValueType], [ValueType])] =
    fittingOperations + fittingLosses + fittingMovements + fittingMoments

  static let fittingOperations: [(Primitive, [ValueType], [ValueType])] = [
    (
      .convolution(geometry, Epilogue(hasBias: true, hasResidual: true)),
      [image, weight, ValueType([10]), result], [result]
    ),
    (.transposedConvolution(geometry, Epilogue()), [result, weight], [image]),
    (
      .transposedConvolution(geometry, Epilogue(hasBias: true, hasResidual: true)),
      [result, weight, channels, image], [image]
    ),
    (.convolutionWeightGradient(geometry), [image, result], [weight]),
    (
      .linear(Epilogue(hasBias: true, hasResidual: true)),
      [vectors, ValueType([7, 5]), ValueType([7]), ValueType([.batch, 7])],
      [ValueType([.batch, 7])]
    ),
    (.linearInputGradient, [ValueType([.batch, 7]), ValueType([7, 5])], [vectors]),
    (.linearWeightGradient, [vectors, ValueType([.batch, 7])], [ValueType([7, 5])]),
    (
      .normalization(normalization(.current, .affine, Epilogue(hasResidual: true))),
      [image, channels, channels, image], [image, moments]
    ),
    (
      .normalization(normalization(.given, .affine)),
      [image, channels, channels, channels, channels], [image]
    ),
    (
      .normalizationGradient(
        normalization(.current, .affine, Epilogue(hasResidual: true, activation: .relu))),
      [image, image, moments, channels, channels, image], [image, channels, channels, image]
    ),
    (
      .normalizationGradient(normalization(.given)), [image, image, channels, channels], [image]
    ),
    (.runningStatistics(.momentum(0.1)), [moments, channels, channels], [channels, channels]),
    (.activation(.relu), [image], [image]),
    (.activationGradient(.relu), [image, image], [image]),
    (.add, [image, image], [image]),
    (.arithmetic(.divide), [image, channels], [image]),
    (.arithmetic(.power), [ValueType([]), image], [image]),
    (.arithmetic(.multiply), [image, ValueType([.batch, 1, 1, 4])], [image]),
    (.arithmetic(.multiply), [ValueType([1, 8, 6, 4]), ValueType([.batch, 1, 1, 1])], [image]),
    (.arithmetic(.subtract), [ValueType([3, 1]), ValueType([1, 5])], [ValueType([3, 5])]),
    (.arithmeticGradient(.base), [image, channels, image], [image]),
    (.elementwise(.logarithm), [image], [image]),
    (.reduction(Reduction(.sum, axes: [2, 0, 1])), [image], [channels]),
    (.reduction(Reduction(.mean, axes: [1, 2])), [image], [ValueType([.batch, 4])]),
    (
      .reduction(Reduction(.maximum, axes: [0, 3], keepsAxes: true)), [image],
      [ValueType([1, 8, 6, 1])]
    ),
    (.reduction(Reduction(.euclideanNorm, axes: [0])), [ValueType([.batch])], [ValueType([])]),
    (
      .extremeGradient(Reduction(.minimum, axes: [1, 2])), [ValueType([.batch, 4]), image], [image]
    ),
    (.expand([.batch, 8, 6, 4]), [channels], [image]),
    (.expand([.batch, 8, 6, 4], divides: true), [ValueType([.batch, 1, 1, 4])], [image]),
    (.parametricReLU, [image, channels], [image]),
    (.parametricReLUGradient, [image, image, ValueType([1])], [image, ValueType([1])]),
    (.dropout(DropoutMask(probability: 0.5, stream: 0)), [image, ValueType(.int64, [])], [image]),
    (.pooling(pooling(.maximum)), [image], [pooled]),
    (.poolingGradient(pooling(.maximum)), [pooled, image], [image]),
    (.poolingGradient(pooling(.average(countsPadding: true))), [pooled], [image]),
    (.poolingGradient(pooling(.l2)), [pooled, image, pooled], [image]),
    (
      .maxPoolingWithIndices(pooling(.maximum)), [image],
      [pooled, ValueType(.int64, pooled.extents)]
    ),
    (.reshape([.batch, 192]), [image], [ValueType([.batch, 192])]),
    (.reshape([4, .batch, 48]), [image], [ValueType([4, .batch, 48])]),
    (.softmax, [vectors], [vectors]),
    (.softmax, [image], [image]),
    (.softmaxGradient, [image, image], [image]),
    (.logSoftmax, [channels], [channels]),
    (.logSoftmaxGradient, [vectors, vectors], [vectors]),
    (.fill(1, [.batch, 3]), [], [ValueType([.batch, 3])]),
  ]

  static let scalar = ValueType([])
  static let pixels = ValueType(.int64, [.batch, 8, 6])
  static func loss(
    _ kind: Loss.Kind, _ reduction: Loss.Reduction = .mean, weighted: Bool = false
  ) -> Primitive { .loss(Loss(kind, reduction: reduction, hasWeights: weighted)) }
  static func lossGradient(_ kind: Loss.Kind, _ reduction: Loss.Reduction = .mean) -> Primitive {
    .lossGradient(Loss(kind, reduction: reduction))
  }

  static let fittingLosses: [(Primitive, [ValueType], [ValueType])] = [
    (loss(.crossEntropy()), [vectors, labels], [scalar]),
    (loss(.crossEntropy()), [channels, ValueType(.int64, [])], [scalar]),
    (
      loss(.crossEntropy(), .none, weighted: true), [image, pixels, channels],
      [ValueType([.batch, 8, 6])]
    ),
    (loss(.focal()), [image, pixels], [scalar]),
    (loss(.softCrossEntropy(), .none), [vectors, vectors], [ValueType([.batch])]),
    (loss(.entropy, .none), [image], [ValueType([.batch, 8, 6])]),
    (loss(.minimumEntropyConsensus), [image, image], [scalar]),
    (loss(.squaredError), [scalar, scalar], [scalar]),
    (loss(.klDivergence, .batchMean), [vectors, vectors], [scalar]),
    (loss(.huber(), .none), [image, image], [image]),
    (loss(.binaryCrossEntropy, weighted: true), [image, image, channels], [scalar]),
    (loss(.binaryCrossEntropy, weighted: true), [vectors, vectors, ValueType([1])], [scalar]),
    (loss(.marginRanking()), [labels, labels, labels].map { ValueType($0.extents) }, [scalar]),
    (lossGradient(.crossEntropy()), [vectors, labels, scalar], [vectors]),
    (lossGradient(.crossEntropy(), .none), [image, pixels, ValueType([.batch, 8, 6])], [image]),
    (lossGradient(.marginRanking(), .none), [image, image, image, image], [image, image]),
    (lossGradient(.minimumEntropyConsensus), [vectors, vectors, scalar], [vectors, vectors]),
    (lossGradient(.squaredError), [image, image, scalar], [image]),
  ]

  @Test(arguments: fitting.indices)
  func resultTypes(index: Int) throws {
    let (primitive, inputs, expected) = Self.fitting[index]
    #expect(try primitive.resultTypes(inputs, at: "layer3") == expected)
    #expect(primitive.resultCount == expected.count)
  }

  /// One operand too many, one too few and one of another element type never fit.
  @Test(arguments: fitting.indices)
  func wrongCountsAndElementTypes(index: Int) throws {
    let (primitive, inputs, _) = Self.fitting[index]
    // A concatenation takes any number of operands; its errors are among the misfits.
    if case .concatenation = primitive { return }
    let more = try #require(
      #expect(throws: KeelError.self) {
        try primitive.resultTypes(inputs + [Self.image], at: "layer3")
      })
    #expect(more.kind == .shape && more.place == "layer3")
    #expect(more.expected == "\(inputs.count) operands for \(primitive.name)")
    #expect(more.found == "\(inputs.count + 1)")
    guard !inputs.isEmpty else { return }
    let fewer = #expect(throws: KeelError.self) {
      try primitive.resultTypes(inputs.dropLast(), at: "layer3")
    }
    #expect(fewer?.found == "\(inputs.count - 1)")
    for position in inputs.indices {
      var changed = inputs
      changed[position].elementType = .bool
      if case .reshape = primitive { continue }
      let error = #expect(throws: KeelError.self) {
        try primitive.resultTypes(changed, at: "layer3")
      }
      #expect(error?.kind == .shape && error?.place == "layer3")
    }
  }

  // MARK: What does not fit

  static let misfits: [Misfit] = misfittingOperations + movementMisfits + momentMisfits

  static let misfittingOperations: [Misfit] = [
    Misfit(
      .convolution(geometry, Epilogue()), [ValueType([.batch, 8, 6, 3]), weight],
      expected: "input float32 batch×8×6×4", found: "float32 batch×8×6×3"),
    Misfit(
      .convolution(geometry, Epilogue()), [ValueType([.batch, 8, 4]), weight],
      expected: "input float32 batch×8×6×4", found: "float32 batch×8×4"),
    Misfit(
      .convolution(geometry, Epilogue()), [ValueType([]), weight],
      expected: "input float32 batch×8×6×4", found: "float32 scalar"),
    Misfit(
      .convolution(geometry, Epilogue()), [image, ValueType([10, 3, 3, 4])],
      expected: "weight float32 10×3×3×2", found: "float32 10×3×3×4"),
    Misfit(
      .convolution(geometry, Epilogue(hasBias: true)), [image, weight, channels],
      expected: "bias float32 10", found: "float32 4"),
    Misfit(
      .convolution(geometry, Epilogue(hasResidual: true)), [image, weight, image],
      expected: "residual float32 batch×4×3×10", found: "float32 batch×8×6×4"),
    Misfit(
      .transposedConvolution(geometry, Epilogue()), [image, weight],
      expected: "input float32 batch×4×3×10", found: "float32 batch×8×6×4"),
    Misfit(
      .transposedConvolution(geometry, Epilogue()), [result, channels],
      expected: "weight float32 10×3×3×2", found: "float32 4"),
    Misfit(
      .transposedConvolution(geometry, Epilogue(hasBias: true)),
      [result, weight, ValueType([10])], expected: "bias float32 4", found: "float32 10"),
    Misfit(
      .transposedConvolution(geometry, Epilogue(hasResidual: true)), [result, weight, result],
      expected: "residual float32 batch×8×6×4", found: "float32 batch×4×3×10"),
    Misfit(
      .convolutionWeightGradient(geometry), [result, result],
      expected: "input float32 batch×8×6×4", found: "float32 batch×4×3×10"),
    Misfit(
      .convolutionWeightGradient(geometry), [image, image],
      expected: "gradient float32 batch×4×3×10", found: "float32 batch×8×6×4"),
    Misfit(
      .convolutionWeightGradient(geometry), [image, ValueType([2, 4, 3, 10])],
      expected: "batch batch", found: "float32 2×4×3×10"),
    Misfit(
      .linear(Epilogue()), [vectors, ValueType([7, 6])],
      expected: "input with 6 columns", found: "float32 batch×5"),
    Misfit(
      .linear(Epilogue()), [image, ValueType([7, 6])],
      expected: "input of rows×columns", found: "float32 batch×8×6×4"),
    Misfit(
      .linear(Epilogue()), [vectors, ValueType([5])],
      expected: "weight of rows×columns", found: "float32 5"),
    Misfit(
      .linear(Epilogue(hasBias: true)), [vectors, ValueType([7, 5]), ValueType([5])],
      expected: "bias float32 7", found: "float32 5"),
    Misfit(
      .linear(Epilogue(hasResidual: true)), [vectors, ValueType([7, 5]), vectors],
      expected: "residual float32 batch×7", found: "float32 batch×5"),
    Misfit(
      .linearInputGradient, [vectors, ValueType([7, 5])],
      expected: "7 columns", found: "float32 batch×5"),
    Misfit(
      .linearWeightGradient, [vectors, ValueType([3, 7])],
      expected: "batch rows", found: "float32 3×7"),
    Misfit(
      .normalization(normalization(.current)), [channels],
      expected: "input of rows×channels", found: "float32 4"),
    Misfit(
      .normalization(normalization(.current)), [ValueType([4, .batch])],
      expected: "input of rows×channels", found: "float32 4×batch"),
    Misfit(
      .normalization(normalization(.current)), [ValueType([1, 1, 1, 4])],
      expected: "more than one value per channel", found: "float32 1×1×1×4"),
    Misfit(
      .normalization(normalization(.current, .affine)), [image, ValueType([6]), channels],
      expected: "scale float32 4", found: "float32 6"),
    Misfit(
      .normalization(normalization(.current, .affine)), [image, channels, ValueType([4, 1])],
      expected: "shift float32 4", found: "float32 4×1"),
    Misfit(
      .normalization(normalization(.given)), [image, ValueType([3]), channels],
      expected: "mean float32 4", found: "float32 3"),
    Misfit(
      .normalization(normalization(.given)), [image, channels, ValueType([3])],
      expected: "variance float32 4", found: "float32 3"),
    Misfit(
      .normalization(normalization(.current, .none, Epilogue(hasResidual: true))),
      [image, result], expected: "residual float32 batch×8×6×4", found: "float32 batch×4×3×10"),
    Misfit(
      .normalizationGradient(normalization(.current)), [result, image, moments],
      expected: "gradient float32 batch×8×6×4", found: "float32 batch×4×3×10"),
    Misfit(
      .normalizationGradient(normalization(.current)), [image, image, ValueType([2, 4])],
      expected: "moments float32 4×4", found: "float32 2×4"),
    Misfit(
      .normalizationGradient(normalization(.given)), [image, image, channels, ValueType([5])],
      expected: "variance float32 4", found: "float32 5"),
    Misfit(
      .normalizationGradient(
        normalization(.given, .none, Epilogue(hasResidual: true, activation: .relu))),
      [image, image, channels, channels, result],
      expected: "forward result float32 batch×8×6×4", found: "float32 batch×4×3×10"),
    Misfit(
      .runningStatistics(.momentum(0.1)), [channels, channels, channels],
      expected: "moments", found: "float32 4"),
    Misfit(
      .runningStatistics(.momentum(0.1)), [moments, ValueType([5]), channels],
      expected: "running mean float32 4", found: "float32 5"),
    Misfit(
      .runningStatistics(.momentum(0.1)), [moments, channels, ValueType([5])],
      expected: "running variance float32 4", found: "float32 5"),
    Misfit(
      .activation(.relu), [labels], expected: "a float32 input", found: "int64 batch"),
    Misfit(
      .activationGradient(.relu), [image, result],
      expected: "second operand float32 batch×8×6×4", found: "float32 batch×4×3×10"),
    Misfit(
      .add, [image, ValueType([2, 8, 6, 4])],
      expected: "second operand that broadcasts with float32 batch×8×6×4",
      found: "float32 2×8×6×4"),
    Misfit(
      .arithmetic(.multiply), [image, ValueType([.symbol("other"), 1, 1, 4])],
      expected: "broadcasts with float32 batch×8×6×4", found: "float32 other×1×1×4"),
    Misfit(
      .arithmetic(.divide), [image, labels], expected: "a float32 second operand",
      found: "int64 batch"),
    Misfit(.arithmetic(.power), [image], expected: "2 operands", found: "1"),
    Misfit(
      .arithmeticGradient(.maximum), [channels, image, channels],
      expected: "gradient float32 batch×8×6×4", found: "float32 4"),
    Misfit(.elementwise(.sign), [labels], expected: "a float32 operand", found: "int64 batch"),
    Misfit(
      .reduction(Reduction(.sum, axes: [])), [image], expected: "at least one axis",
      found: "axes []"),
    Misfit(
      .reduction(Reduction(.sum, axes: [0])), [ValueType([])], expected: "at least one axis",
      found: "axes [0]"),
    Misfit(
      .reduction(Reduction(.mean, axes: [1, 4])), [image],
      expected: "each once, of float32 batch×8×6×4", found: "axes [1, 4]"),
    Misfit(
      .reduction(Reduction(.mean, axes: [1, 1])), [image], expected: "each once",
      found: "axes [1, 1]"),
    Misfit(
      .extremeGradient(Reduction(.sum, axes: [1])), [image, image],
      expected: "a maximum or minimum", found: "sum"),
    Misfit(
      .extremeGradient(Reduction(.maximum, axes: [1, 2])), [channels, image],
      expected: "gradient float32 batch×4", found: "float32 4"),
    Misfit(
      .expand([2, 3]), [channels], expected: "an operand that broadcasts to float32 2×3",
      found: "float32 4"),
    Misfit(
      .expand([4]), [ValueType([1, 4])], expected: "broadcasts to float32 4",
      found: "float32 1×4"),
    Misfit(
      .expand([0, 4]), [channels], expected: "extents of at least 1", found: "float32 0×4"),
    Misfit(
      .parametricReLU, [image, ValueType([3])], expected: "slope of 1 or 4 elements",
      found: "float32 3"),
    Misfit(
      .parametricReLU, [ValueType([]), ValueType([1])], expected: "known channels",
      found: "float32 scalar"),
    Misfit(
      .parametricReLUGradient, [channels, image, channels],
      expected: "gradient float32 batch×8×6×4", found: "float32 4"),
    Misfit(
      .dropout(DropoutMask(probability: 0.5, stream: 0)), [image, ValueType([])],
      expected: "seed int64 scalar", found: "float32 scalar"),
    Misfit(
      .dropout(DropoutMask(probability: 0.5, stream: 0, unit: .channel)),
      [channels, ValueType(.int64, [])], expected: "samples×channels", found: "float32 4"),
    Misfit(
      .pooling(pooling(.maximum)), [result],
      expected: "input float32 batch×8×6×4", found: "float32 batch×4×3×10"),
    Misfit(
      .poolingGradient(pooling(.maximum)), [image, image],
      expected: "gradient float32 batch×4×3×4", found: "float32 batch×8×6×4"),
    Misfit(
      .poolingGradient(pooling(.maximum)), [pooled, ValueType([3, 8, 6, 4])],
      expected: "batch batch", found: "float32 3×8×6×4"),
    Misfit(
      .poolingGradient(pooling(.l2)), [pooled, image, image],
      expected: "forward result float32 batch×4×3×4", found: "float32 batch×8×6×4"),
    Misfit(
      .maxPoolingWithIndices(pooling(.l2)), [image],
      expected: "a window of maxima", found: "L2 pooling"),
    Misfit(
      .maxPoolingWithIndices(pooling(.maximum)), [pooled],
      expected: "input float32 batch×8×6×4", found: "float32 batch×4×3×4"),
    Misfit(
      .reshape([.batch, 191]), [image],
      expected: "as many elements as in float32 batch×8×6×4", found: "float32 batch×191"),
    Misfit(
      .reshape([192]), [image],
      expected: "as many elements as in float32 batch×8×6×4", found: "float32 192"),
    Misfit(
      .reshape([.symbol("other"), 192]), [image],
      expected: "as many elements as in float32 batch×8×6×4", found: "float32 other×192"),
    Misfit(
      .reshape([.batch, -12, -16]), [image],
      expected: "extents of at least 1", found: "float32 batch×-12×-16"),
    Misfit(.softmax, [scalar], expected: "logits of at least one axis", found: "scalar"),
    Misfit(.logSoftmax, [labels], expected: "a float32 logits", found: "int64 batch"),
    Misfit(
      .softmaxGradient, [vectors, image], expected: "result float32 batch×5",
      found: "float32 batch×8×6×4"),
    Misfit(
      .logSoftmaxGradient, [vectors, channels], expected: "result float32 batch×5",
      found: "float32 4"),
    Misfit(
      loss(.crossEntropy()), [vectors, ValueType(.int64, [7])],
      expected: "int64 batch", found: "int64 7"),
    Misfit(
      loss(.crossEntropy()), [vectors, ValueType([.batch])],
      expected: "int64 batch", found: "float32 batch"),
    Misfit(
      loss(.focal()), [image, labels], expected: "labels int64 batch×8×6", found: "int64 batch"),
    Misfit(
      loss(.negativeLogLikelihood(), weighted: true), [vectors, labels, channels],
      expected: "weights float32 5", found: "float32 4"),
    Misfit(
      loss(.binaryCrossEntropy, weighted: true), [vectors, vectors, channels],
      expected: "weights float32 5", found: "float32 4"),
    Misfit(loss(.entropy), [scalar], expected: "at least one axis", found: "scalar"),
    Misfit(
      loss(.squaredError, .batchMean), [scalar, scalar], expected: "at least one axis",
      found: "scalar"),
    Misfit(
      loss(.squaredError), [image, vectors], expected: "second operand float32 batch×8×6×4",
      found: "float32 batch×5"),
    Misfit(
      loss(.marginRanking()), [vectors, vectors, image], expected: "signs float32 batch×5",
      found: "float32 batch×8×6×4"),
    Misfit(
      lossGradient(.crossEntropy()), [vectors, labels, ValueType([1])],
      expected: "loss gradient float32 scalar", found: "float32 1"),
    Misfit(
      lossGradient(.crossEntropy(), .none), [vectors, labels, scalar],
      expected: "loss gradient float32 batch", found: "float32 scalar"),
    Misfit(
      .fill(0, [3, 0]), [], expected: "extents of at least 1", found: "float32 3×0"),
    Misfit(
      .fill(0, [-2, -3]), [], expected: "extents of at least 1", found: "float32 -2×-3"),
  ]

  @Test(arguments: misfits)
  func misfit(_ test: Misfit) throws {
    let error = try #require(
      #expect(throws: KeelError.self) { try test.primitive.resultTypes(test.inputs, at: "layer3") })
    #expect(error.kind == .shape)
    #expect(error.place == "layer3")
    #expect(error.expected.contains(test.expected), "\(error)")
    #expect(error.expected.contains(test.primitive.name), "\(error)")
    #expect(error.found.contains(test.found), "\(error)")
  }

  @Test(arguments: [-0.1, 1.5, .nan] as [Float])
  func momentumOutsideItsRange(momentum: Float) throws {
    let error = #expect(throws: KeelError.self) {
      try Primitive.runningStatistics(.momentum(momentum)).resultTypes(
        [Self.moments, Self.channels, Self.channels], at: "layer3")
    }
    #expect(error?.kind == .argument && error?.place == "layer3" && error?.found == "\(momentum)")
  }

  static let wrongLosses: [(Loss, String, String)] = [
    (Loss(.smoothL1(beta: -1)), "a finite beta of at least 0 for smooth L1", "-1.0"),
    (Loss(.huber(delta: 0)), "a finite delta above 0 for Huber", "0.0"),
    (Loss(.crossEntropy(smoothing: 1.5)), "a smoothing from 0 to 1 for cross-entropy", "1.5"),
    (Loss(.softCrossEntropy(smoothing: .nan)), "a smoothing from 0 to 1 for cross-entropy", "nan"),
    (Loss(.focal(gamma: -2)), "a finite gamma of at least 0 for focal", "-2.0"),
    (Loss(.binaryFocal(gamma: .infinity)), "a finite gamma of at least 0 for binary focal", "inf"),
    (Loss(.binaryFocal(alpha: 2)), "an alpha from 0 to 1 for binary focal", "2.0"),
    (Loss(.marginRanking(margin: .nan)), "a finite margin for margin ranking", "nan"),
    (Loss(.squaredError, hasWeights: true), "no weights for squared error", "weights"),
  ]

  @Test(arguments: wrongLosses.indices)
  func lossParametersOutsideTheirRange(index: Int) throws {
    let (loss, expected, found) = Self.wrongLosses[index]
    for primitive in [Primitive.loss(loss), .lossGradient(loss)] {
      let error = #expect(throws: KeelError.self) {
        try primitive.resultTypes([Self.vectors, Self.vectors], at: "head")
      }
      #expect(
        error == KeelError(.argument, at: "head", expected: expected, found: found))
    }
  }

  /// What fits and what does not are tried for the same operations.
  @Test func everyOperationIsTriedBothWays() {
    func kind(_ primitive: Primitive) -> Substring { "\(primitive)".prefix { $0 != "(" } }
    #expect(Set(Self.fitting.map { kind($0.0) }) == Set(Self.misfits.map { kind($0.primitive) }))
    #expect(Set(Self.fitting.map { kind($0.0) }).count == 42)
  }
}
