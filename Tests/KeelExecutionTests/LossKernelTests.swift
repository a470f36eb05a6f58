import KeelExecution
import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Class contract: what softmax and the losses do with values at the edge.
@Suite struct LossKernelTests {
  private func tensor(_ values: [Float], _ columns: Int) throws -> Tensor {
    try Tensor(values, shape: [values.count / columns, columns])
  }

  private func labels(_ values: [Int64]) throws -> TensorValue {
    .int64(try IndexTensor(values, shape: [values.count]))
  }

  private let one = TensorValue.float32(Tensor(repeating: 1, shape: []))

  // MARK: Softmax

  /// Rows that share vectors, and rows longer than that; what is behind the first three is −∞.
  @Test(arguments: [3, 16, 33, 70])
  func infinitiesInSoftmax(columns: Int) throws {
    let low = -Float.infinity
    func wide(_ rows: [[Float]]) throws -> Tensor {
      try tensor(rows.flatMap { $0 + [Float](repeating: low, count: columns - 3) }, columns)
    }
    let rows: [[Float]] = [
      [low, 0, 0], [low, low, low], [.infinity, 0, 0], [.nan, 0, 0], [5, low, low],
    ]
    for (primitive, first) in [
      (Primitive.softmax, [0, 0.5, 0.5]), (.logSoftmax, [low, -log2, -log2]),
    ]
      as [(Primitive, [Float])]
    {
      let y = try apply(primitive, [.float32(wide(rows))])
      for c in 0..<columns {
        let nothing: Float = primitive == .softmax ? 0 : low
        #expect(y[0, c] == (c < 3 ? first[c] : nothing))
        for row in 1...3 { #expect(y[row, c].isNaN) }
        let one: Float = primitive == .softmax ? 1 : 0
        #expect(y[4, c] == (c == 0 ? one : nothing))
      }
    }
  }

  private let log2: Float = 0.6931472

  @Test(arguments: [3, 40])
  func softmaxOfOneRowDoesNotDependOnOthers(columns: Int) throws {
    var source = TensorSource(seed: 91)
    let x = source.normal([23, columns], deviation: 4)
    for primitive in [Primitive.softmax, .logSoftmax] {
      let together = try apply(primitive, [.float32(x)])
      for row in [0, 7, 22] {
        let alone = Tensor(uninitialized: [1, columns]) { out in
          for c in 0..<columns { out[c] = x[row, c] }
        }
        let y = try apply(primitive, [.float32(alone)])
        for c in 0..<columns { #expect(y[0, c].bitPattern == together[row, c].bitPattern) }
      }
    }
  }

  // MARK: Labels

  static let labelKinds: [Loss.Kind] = [
    .negativeLogLikelihood(ignoring: 7), .crossEntropy(ignoring: 7),
    .crossEntropy(smoothing: 0.1, ignoring: 7), .focal(ignoring: 7),
  ]

  @Test(arguments: labelKinds)
  func allLabelsIgnored(kind: Loss.Kind) throws {
    let x = TensorValue.float32(try tensor([1, .nan, 3, -4], 2))
    let operands = [x, try labels([7, 7])]
    for (reduction, expected) in [(Loss.Reduction.sum, 0), (.batchMean, 0), (.mean, Float.nan)] {
      let loss = try apply(.loss(Loss(kind, reduction: reduction)), operands)[flat: 0]
      #expect(expected.isNaN ? loss.isNaN : loss == expected)
      let gradient = try apply(.lossGradient(Loss(kind, reduction: reduction)), operands + [one])
      #expect(gradient.elements == [0, 0, 0, 0])
    }
  }

  @Test(arguments: labelKinds)
  func ignoredRowsDoNotCount(kind: Loss.Kind) throws {
    let all = TensorValue.float32(try tensor([-1, -2, .nan, .infinity, -0.5, -0.25], 2))
    let few = TensorValue.float32(try tensor([-1, -2, -0.5, -0.25], 2))
    let weights = TensorValue.float32(try Tensor([0.5, 3], shape: [2]))
    for hasWeights in [false, true] {
      let loss = Loss(kind, hasWeights: hasWeights)
      let rest = hasWeights ? [weights] : []
      let (with, without) = (
        [all, try labels([1, 7, 0])] + rest, [few, try labels([1, 0])] + rest
      )
      let (a, b) = (try apply(.loss(loss), with), try apply(.loss(loss), without))
      #expect(a == b)
      let gradient = try apply(.lossGradient(loss), with + [one]).elements
      let expected = try apply(.lossGradient(loss), without + [one]).elements
      #expect(Array(gradient[0..<2]) == Array(expected[0..<2]))
      #expect(Array(gradient[2..<4]) == [0, 0])
      #expect(Array(gradient[4..<6]) == Array(expected[2..<4]))
    }
  }

  @Test(arguments: labelKinds, [-1, 2, Int64.max])
  func labelOutOfRange(kind: Loss.Kind, label: Int64) throws {
    let operands = [TensorValue.float32(Tensor(zeros: [3, 2])), try labels([0, 7, label])]
    for (primitive, rest) in [
      (Primitive.loss(Loss(kind)), []), (.lossGradient(Loss(kind)), [one]),
    ] {
      let error = #expect(throws: KeelError.self) {
        _ = try apply(primitive, operands + rest)
      }
      #expect(
        error
          == KeelError(
            .value, at: "test, label 2", expected: "a class from 0 to 1", found: "\(label)"))
    }
  }

  @Test func labelsPerPixel() throws {
    var source = TensorSource(seed: 92)
    let x = source.normal([2, 3, 4, 5])
    let y = source.labels([2, 3, 4], classes: 5, ignored: nil)
    let flat = try apply(
      .loss(Loss(.crossEntropy())),
      [.float32(x.reshaped(to: [24, 5])), .int64(y.reshaped(to: [24]))])
    let pixels = try apply(.loss(Loss(.crossEntropy())), [.float32(x), .int64(y)])
    #expect(pixels == flat)
    let error = #expect(throws: KeelError.self) {
      var wrong = y
      wrong[1, 0, 1] = 5
      _ = try apply(.loss(Loss(.crossEntropy())), [.float32(x), .int64(wrong)])
    }
    #expect(error?.place == "test, label 13")
  }

  // MARK: Large numbers

  /// Every loss of logits at ±10⁴ and gradient against the reference: finite, and to Float's rounding.
  @Test(arguments: Loss.everyKind, [4, 40])
  func largeLogits(kind: Loss.Kind, columns: Int) throws {
    let test = PrimitiveCase.loss(Loss(kind, reduction: .none), [6, columns])
    var values = test.values(seed: 93)
    var source = TensorSource(seed: 94)
    for index in test.operands.indices where test.operands[index].isDifferentiable {
      values[index] = .float32(source.choice([6, columns], of: [1e4, -1e4, 0, 1, 88, -88]))
    }
    let expectedLoss = try evaluate(test.primitive, values.map { ReferenceValue($0) })[0]
    let loss = try apply(test.primitive, values)
    #expect(loss.elements.allSatisfy { $0.isFinite })
    expectClose(loss, expectedLoss, bound: Tolerance.elementwise)
    let gradient = Primitive.lossGradient(Loss(kind, reduction: .none))
    values.append(.float32(Tensor(repeating: 1, shape: loss.shape)))
    let expected = try evaluate(gradient, values.map { ReferenceValue($0) })[0]
    // A saturated row's gradient is what rounding leaves of 0.
    expectClose(
      try apply(gradient, values), expected, bound: 2 * Tolerance.elementwise,
      scale: max(1, expected.largestMagnitude))
  }

  /// Small losses keep their digits: they are not what two large terms leave.
  @Test func confidentAndRight() throws {
    let z = TensorValue.float32(try Tensor([12, -12], shape: [2]))
    let loss = try apply(
      .loss(Loss(.binaryCrossEntropy, reduction: .none)),
      [z, .float32(try Tensor([1, 0], shape: [2]))])
    let expected = 6.144193477e-6
    for value in loss.elements { #expect(abs(Double(value) / expected - 1) <= 1e-6) }
    let logistic = try apply(
      .loss(Loss(.logistic, reduction: .none)), [z, .float32(try Tensor([1, -1], shape: [2]))])
    for value in logistic.elements { #expect(abs(Double(value) / expected - 1) <= 1e-6) }
  }

  @Test func sumsOfManyElements() throws {
    var source = TensorSource(seed: 95)
    let (x, y) = (source.uniform([1_000_003]), Tensor(zeros: [1_000_003]))
    let exact = x.elements.reduce(0) { $0 + Double($1) }
    let sum = try apply(
      .loss(Loss(.absoluteError, reduction: .sum)), [.float32(x), .float32(y)])[flat: 0]
    #expect(sum == Float(exact))
  }

  // MARK: Identities

  @Test func focalWithoutGammaIsCrossEntropy() throws {
    let weights = PrimitiveCase.loss(Loss(.crossEntropy(), hasWeights: true), [9, 7]).values(
      seed: 96)
    let expected = try apply(.loss(Loss(.crossEntropy(), hasWeights: true)), weights)
    let focal = try apply(.loss(Loss(.focal(gamma: 0), hasWeights: true)), weights)
    expectClose(focal, DoubleTensor(widening: expected), bound: Tolerance.elementwise)
    let binary = PrimitiveCase.loss(Loss(.binaryFocal()), [40]).values(seed: 97)
    expectClose(
      try apply(.loss(Loss(.binaryFocal(gamma: 0))), binary),
      DoubleTensor(widening: try apply(.loss(Loss(.binaryCrossEntropy)), binary)),
      bound: Tolerance.elementwise)
  }

  @Test func smoothL1AtItsCorner() throws {
    // ½ from both sides: "+ β/2" would jump to 1½.
    for e in [1, -1, Float(1).nextDown, Float(1).nextUp] {
      let loss = try apply(
        .loss(Loss(.smoothL1())), [.float32(Tensor(repeating: e, shape: [])), zero])
      #expect(abs(loss[flat: 0] - 0.5) <= 1e-6)
    }
  }

  private let zero = TensorValue.float32(Tensor(zeros: []))

  @Test func klDivergenceTakesZeroTargets() throws {
    let l = TensorValue.float32(try tensor([-.infinity, 0], 2))
    let q = TensorValue.float32(try tensor([0, 1], 2))
    let loss = Loss(.klDivergence, reduction: .batchMean)
    #expect(try apply(.loss(loss), [l, q]).elements == [0])
    #expect(try apply(.lossGradient(loss), [l, q, one]).elements == [0, -1])
  }

  @Test func rankingCountsThePairAtTheCorner() throws {
    let values = TensorValue.float32(try Tensor([2, 2, 3], shape: [3]))
    let others = TensorValue.float32(try Tensor([2, 3, 2], shape: [3]))
    let signs = TensorValue.float32(Tensor(repeating: 1, shape: [3]))
    let loss = Loss(.marginRanking(), reduction: .sum)
    #expect(try apply(.loss(loss), [values, others, signs]).elements == [1])
    #expect(
      try apply(.lossGradient(loss), [values, others, signs, one]).elements == [-1, -1, 0])
  }

  @Test func targetsHaveNoGradient() throws {
    for kind in [.softCrossEntropy(), .binaryCrossEntropy, .klDivergence, .logistic] as [Loss.Kind]
    {
      var builder = GraphBuilder()
      let x = builder.weight("x", Tensor(zeros: [2, 3]))
      let t = builder.weight("t", Tensor(repeating: 1, shape: [2, 3]))
      builder.output("loss", try builder.append(.loss(Loss(kind)), [x, t], label: "head")[0])
      let graph = try builder.finish()
      let error = #expect(throws: KeelError.self) {
        try graph.differentiated(withRespectTo: .named(["t"]))
      }
      #expect(error?.kind == .graph && error?.place == "head")
      #expect(throws: Never.self) { try graph.differentiated(withRespectTo: .named(["x"])) }
    }
  }
}
