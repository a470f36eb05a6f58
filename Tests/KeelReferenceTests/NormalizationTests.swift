import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct NormalizationTests {
  static let epsilon: Float = 1e-5
  static var current: Normalization {
    get throws {
      try Normalization(
        statistics: .current, operation: .standardize(epsilon: epsilon), recovery: .none)
    }
  }

  @Test func momentsAndRunningStatisticsByHand() throws {
    // Channel 0: 1, 2, 3, 6 (mean 3, squared deviations 14); channel 1: constant.
    let x = try DoubleTensor([1, 5, 2, 5, 3, 5, 6, 5], shape: [4, 2])
    let results = try evaluate(.normalization(Self.current), [x])
    #expect(results[1].elements == [4, 4, 3, 5, 0, 0, 14, 0])
    let root = (3.5 + Double(Self.epsilon)).squareRoot()
    let expected = [-2, 0, -1, 0, 0, 0, 3, 0].map { $0 / root }
    expectClose(
      results[0], try DoubleTensor(expected, shape: [4, 2]), bound: Tolerance.double)
    let running = try evaluate(
      .runningStatistics(.momentum(0.25)),
      [results[1], DoubleTensor([1, 1], shape: [2]), DoubleTensor([2, 2], shape: [2])])
    // 0.75·1 + 0.25·3 and 0.75·2 + 0.25·14/3.
    #expect(running[0].elements == [1.5, 2])
    expectClose(
      running[1], try DoubleTensor([1.5 + 3.5 / 3, 1.5], shape: [2]), bound: Tolerance.double)
  }

  @Test func runningStatisticsAddTheMeansResidual() throws {
    let moments = try DoubleTensor([3, 10, 0.5, 8], shape: [4, 1])
    let running = try evaluate(
      .runningStatistics(.momentum(1)),
      [moments, DoubleTensor(zeros: [1]), DoubleTensor(zeros: [1])])
    #expect(running.map(\.elements) == [[10.5], [4]])
  }

  @Test func givenStatisticsByHand() throws {
    let normalization = try Normalization(
      statistics: .given, operation: .standardize(epsilon: 0),
      epilogue: Epilogue(hasResidual: true, activation: .relu))
    let y = try evaluate(
      .normalization(normalization),
      [
        DoubleTensor([3, 3, -1, 4], shape: [2, 2]), DoubleTensor([1, 2], shape: [2]),
        DoubleTensor([4, 0.25], shape: [2]), DoubleTensor([3, 1], shape: [2]),
        DoubleTensor([0, -1], shape: [2]), DoubleTensor([1, 0, 1, -4], shape: [2, 2]),
      ])[0]
    // x̂ = (1, 2), (−1, 4); z = (3, 1), (−3, 3); plus residual (4, 1), (−2, −1).
    #expect(y.elements == [4, 1, 0, 0])
  }

  @Test func largeMeansKeepTheVariance() throws {
    // Mean 10⁴ and deviation 0.1, where E[x²] − E[x]² in Float has no digit left.
    var source = TensorSource(seed: 21)
    let x = source.standardized([512, 2], means: [1e4, -1e4], deviations: [0.1, 0.1])
    let moments = try evaluate(.normalization(Self.current), [x])[1]
    for channel in 0..<2 {
      let variance = moments[MomentsLayout.squaredDeviations, channel] / 512
      #expect(abs(variance - 0.01) <= 1e-10, "seed 21")
    }
  }

  @Test func constantChannelBecomesTheShift() throws {
    let y = try evaluate(
      .normalization(Normalization(statistics: .current)),
      [
        DoubleTensor(repeating: 7, shape: [5, 1]), DoubleTensor([3], shape: [1]),
        DoubleTensor([-2], shape: [1]),
      ])[0]
    #expect(y.elements == [-2, -2, -2, -2, -2])
  }

  @Test(arguments: [[6, 3], [2, 3, 2, 3]] as [Shape])
  func inputGradientInvariants(shape: Shape) throws {
    var source = TensorSource(seed: 22)
    let (rows, channels) = (shape.rowCount, shape.channelCount)
    let x = DoubleTensor(widening: source.normal(shape, mean: 2, deviation: 0.1))
    let dy = DoubleTensor(widening: source.normal(shape))
    let normalization = try Self.current
    let forward = try evaluate(.normalization(normalization), [x])
    let (normalized, moments) = (forward[0], forward[1])
    let dx = try evaluate(.normalizationGradient(normalization), [dy, x, moments])[0]
    for c in 0..<channels {
      let positions = (0..<rows).map { $0 * channels + c }
      func sum(_ term: (Int) -> Double) -> Double { positions.reduce(0) { $0 + term($1) } }
      // Σ dx = 0.
      #expect(abs(sum { dx[flat: $0] }) <= 1e-10, "seed 22")
      // Σ dx·x̂ = (Σ dy·x̂)/s·ε/(v + ε).
      let variance = moments[MomentsLayout.squaredDeviations, c] / Double(rows)
      let padded = variance + Double(Self.epsilon)
      let expected =
        sum { dy[flat: $0] * normalized[flat: $0] } / padded.squareRoot() * Double(Self.epsilon)
        / padded
      let found = sum { dx[flat: $0] * normalized[flat: $0] }
      #expect(abs(expected) > 1e-6, "seed 22")
      #expect(abs(found - expected) <= 1e-8 * abs(expected) + 1e-12, "seed 22")
    }
  }

  @Test func biasBeforeBatchNormHasNoGradient() throws {
    var source = TensorSource(seed: 23)
    let geometry = try ConvolutionGeometry(
      inputHeight: 4, inputWidth: 4, inputChannels: 2, outputChannels: 3, kernel: (3, 3))
    var builder = GraphBuilder()
    let x = builder.weight("x", source.normal([2, 4, 4, 2]))
    let weight = builder.weight("weight", source.normal(geometry.weightShape))
    let bias = builder.weight("bias", source.normal([3]))
    let convolved = try builder.append(
      .convolution(geometry, Epilogue(hasBias: true)), [x, weight, bias])
    let y = try builder.append(.normalization(Self.current), convolved)[0]
    let row = try builder.append(.reshape([1, 24]), [y])[0]
    let cotangent = builder.weight("cotangent", source.normal([1, 24]))
    let product = try builder.append(.linear(Epilogue()), [row, cotangent])[0]
    builder.output("loss", try builder.append(.reshape([]), [product])[0])
    let gradients = try ReferenceEvaluator(builder.finish().differentiated()).run([:]).outputs
    let dBias = try #require(gradients[Graph.gradientName("bias")])
    let dWeight = try #require(gradients[Graph.gradientName("weight")])
    #expect(dBias.largestMagnitude <= 1e-12, "seed 23")
    #expect(dWeight.largestMagnitude > 1e-2, "seed 23")
  }

  @Test func scaleOfAPrecedingWeightDoesNotMatter() throws {
    var source = TensorSource(seed: 24)
    let x = DoubleTensor(widening: source.normal([16, 3]))
    let weight = DoubleTensor(widening: source.normal([4, 3]))
    let larger = try DoubleTensor(weight.elements.map { 8 * $0 }, shape: [4, 3])
    let exact = try Normalization(
      statistics: .current, operation: .standardize(epsilon: 0), recovery: .none)
    func normalized(_ weight: DoubleTensor) throws -> DoubleTensor {
      try evaluate(.normalization(exact), evaluate(.linear(Epilogue()), [x, weight]))[0]
    }
    expectClose(
      try normalized(larger), try normalized(weight), bound: Tolerance.double, "seed 24")
  }

  // MARK: Errors

  @Test(arguments: [[1, 3], [1, 1, 1, 3]] as [Shape])
  func oneValuePerChannelInTraining(shape: Shape) throws {
    // The batch is open in the graph, so only the run can tell.
    var builder = GraphBuilder()
    let x = builder.input(
      "x", ValueType([.batch] + shape.extents.dropFirst().map(Extent.fixed)))
    let y = try builder.append(.normalization(Self.current), [x], label: "stage1.bn")[0]
    builder.output("y", y)
    let evaluator = ReferenceEvaluator(try builder.finish())
    let error = #expect(throws: KeelError.self) {
      try evaluator.run(["x": .real(DoubleTensor(zeros: shape))])
    }
    #expect(error?.kind == .shape)
    #expect(error?.place == "stage1.bn")
    #expect(error?.found == "\(shape)")
  }

  @Test(arguments: [-0.1, -1e-5, .nan, .infinity])
  func badGivenVariance(variance: Double) throws {
    let normalization = try Normalization(
      statistics: .given, operation: .standardize(epsilon: 1e-6), recovery: .none)
    let error = #expect(throws: KeelError.self) {
      try evaluate(
        .normalization(normalization),
        [
          DoubleTensor(zeros: [2, 2]), DoubleTensor(zeros: [2]),
          DoubleTensor([1, variance], shape: [2]),
        ])
    }
    #expect(error?.kind == .value)
    #expect(error?.found == "\(variance) in cell 1")
  }

  @Test func momentsOfOneValue() throws {
    let error = #expect(throws: KeelError.self) {
      try evaluate(
        .runningStatistics(.momentum(0.1)),
        [
          DoubleTensor([1, 0, 0, 0], shape: [4, 1]), DoubleTensor(zeros: [1]),
          DoubleTensor(zeros: [1]),
        ])
    }
    #expect(error?.kind == .value)
  }
}
