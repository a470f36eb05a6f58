import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// The worked examples through graphs in the reference.
@Suite struct WorkedExampleTests {
  @Test func batchNormShapes() throws {
    // 20×100×35×45 in channels-first order: 100 means over 20·35·45 = 31 500 values each.
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 35, 45, 100]))
    let affine = [
      builder.weight("scale", Tensor(repeating: 1, shape: [100])),
      builder.weight("shift", Tensor(zeros: [100])),
    ]
    let results = try builder.append(
      .normalization(Normalization(statistics: .current)), [x] + affine)
    builder.output("y", results[0])
    builder.output("moments", results[1])
    var source = TensorSource(seed: 2)
    let input = source.normal([20, 35, 45, 100], mean: 3, deviation: 2)
    let outputs = try ReferenceEvaluator(builder.finish()).run(
      ["x": ReferenceValue(.float32(input))]
    ).outputs
    let (y, moments) = (try #require(outputs["y"]), try #require(outputs["moments"]))
    #expect(y.shape == [20, 35, 45, 100])
    #expect(moments.shape == [4, 100])
    for channel in 0..<100 { #expect(moments[MomentsLayout.count, channel] == 31_500) }
    let statistics = y.channelStatistics
    #expect(statistics.means.allSatisfy { abs($0) <= 1e-12 })
    #expect(statistics.deviations.allSatisfy { abs($0 - 1) <= 1e-5 })
  }

  @Test(arguments: [1, 2] as [UInt64])
  func batchNormDemo(seed: UInt64) throws {
    let training = try demoGraph()
    var weights: [String: DoubleTensor] = [:]
    for batch in BatchNormDemo.batches {
      let x = BatchNormDemo.data(batch, seed: seed)
      let results = try ReferenceEvaluator(training).run(["x": .real(x)], weights: weights)
      let statistics = try #require(results.outputs["y"]).channelStatistics
      expectClose(statistics.means, [0, 0, 0], within: 1e-10, "\(batch.name), seed \(seed)")
      let expected = batch.deviations.map {
        ($0 * $0 / ($0 * $0 + Double(BatchNormDemo.epsilon))).squareRoot()
      }
      expectClose(statistics.deviations, expected, within: 1e-10, "\(batch.name), seed \(seed)")
      weights.merge(results.updates) { $1 }
      expectClose(
        try #require(weights["mean"]).elements, batch.runningMeans, within: batch.rounding,
        "running mean after \(batch.name), seed \(seed)")
      expectClose(
        try #require(weights["variance"]).elements.map { $0.squareRoot() },
        batch.runningDeviations, within: batch.rounding,
        "root of the running variance after \(batch.name), seed \(seed)")
    }
    let inference = try training.inferenceForm()
    for evaluation in BatchNormDemo.evaluation {
      let x = BatchNormDemo.data(BatchNormDemo.batches[evaluation.batch], seed: seed)
      let results = try ReferenceEvaluator(inference).run(["x": .real(x)], weights: weights)
      #expect(results.updates.isEmpty)
      let statistics = try #require(results.outputs["y"]).channelStatistics
      let tolerance = BatchNormDemo.evaluationTolerance
      expectClose(statistics.means, evaluation.means, within: tolerance, "seed \(seed)")
      expectClose(statistics.deviations, evaluation.deviations, within: tolerance, "seed \(seed)")
    }
  }

  private func demoGraph() throws -> Graph {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 2, 2, 3]))
    let scale = builder.weight("scale", Tensor(repeating: 1, shape: [3]))
    let shift = builder.weight("shift", Tensor(zeros: [3]))
    let mean = builder.weight("mean", Tensor(zeros: [3]), role: .state)
    let variance = builder.weight("variance", Tensor(repeating: 1, shape: [3]), role: .state)
    let normalization = try Normalization(
      statistics: .current, operation: .standardize(epsilon: BatchNormDemo.epsilon))
    let results = try builder.append(.normalization(normalization), [x, scale, shift])
    let running = try builder.append(
      .runningStatistics(.momentum(BatchNormDemo.momentum)), [results[1], mean, variance])
    builder.output("y", results[0])
    builder.update("mean", running[0])
    builder.update("variance", running[1])
    return try builder.finish()
  }

  @Test func crossCorrelation() throws {
    let example = WorkedExamples.crossCorrelation
    let geometry = try ConvolutionGeometry(
      inputHeight: 3, inputWidth: 3, inputChannels: 1, outputChannels: 1, kernel: (2, 2))
    let y = try evaluate(
      .convolution(geometry, Epilogue()),
      [example.inputTensor, WorkedExamples.crossCorrelationKernel])
    #expect(y == [example.outputTensor])
  }

  @Test func filterBanks() throws {
    // 3×32×32 with 5×5 filters: each output of one filter is 75 products and a bias.
    for (filters, batch) in [(1, 1), (6, 1), (6, 2)] {
      let geometry = try ConvolutionGeometry(
        inputHeight: 32, inputWidth: 32, inputChannels: 3, outputChannels: filters, kernel: (5, 5))
      let y = try evaluate(
        .convolution(geometry, Epilogue(hasBias: true)),
        [
          DoubleTensor(repeating: 1, shape: [batch, 32, 32, 3]),
          DoubleTensor(repeating: 1, shape: [filters, 5, 5, 3]),
          DoubleTensor(repeating: 0.5, shape: [filters]),
        ])[0]
      #expect(y.shape == [batch, 28, 28, filters])
      #expect(y.elements.allSatisfy { $0 == 75.5 })
    }
  }

  @Test func maxPooling() throws {
    for (example, size, stride, ceilMode) in [
      (WorkedExamples.maxPooling, 4, 2, false), (WorkedExamples.tiedPooling, 5, 2, false),
      (WorkedExamples.roundedUpPooling, 5, 2, true),
      (WorkedExamples.overlappingPooling, 5, 1, false),
    ] {
      let geometry = try PoolingGeometry(
        .maximum, inputHeight: size, inputWidth: size, channels: 1, window: (2, 2),
        stride: (stride, stride), ceilMode: ceilMode)
      #expect(try evaluate(.pooling(geometry), [example.inputTensor]) == [example.outputTensor])
    }
  }

  @Test func maxPoolingGradientGoesToTheFirstOfEquals() throws {
    let geometry = try PoolingGeometry(
      .maximum, inputHeight: 5, inputWidth: 5, channels: 1, window: (2, 2), stride: (2, 2))
    let example = WorkedExamples.tiedPoolingGradient
    let dx = try evaluate(
      .poolingGradient(geometry), [example.dy, WorkedExamples.tiedPooling.inputTensor])
    #expect(dx == [example.dx])
  }

  @Test func leNetShapes() throws {
    // Every layer of LeNet on one image; the table's output shapes, channels last.
    var builder = GraphBuilder()
    var source = TensorSource(seed: 7)
    var value = builder.input("x", ValueType([.batch, 28, 28, 1]))
    for (index, counts) in WorkedExamples.convolutionCounts.dropFirst().enumerated() {
      let geometry = try counts.geometry()
      let weight = builder.weight("conv\(index)", source.normal(geometry.weightShape))
      let epilogue = Epilogue(activation: .relu)
      value = try builder.append(.convolution(geometry, epilogue), [value, weight])[0]
      let pooling = try PoolingGeometry(
        .maximum, inputHeight: counts.output, inputWidth: counts.output,
        channels: counts.channels.output, window: (2, 2), stride: (2, 2))
      value = try builder.append(.pooling(pooling), [value])[0]
      builder.output("pool\(index)", value)
    }
    value = try builder.append(.reshape([.batch, 2450]), [value])[0]
    for (index, linear) in WorkedExamples.leNet.linears.enumerated() {
      let weight = builder.weight(
        "linear\(index)", source.normal([linear.outputs, linear.inputs]))
      value = try builder.append(.linear(Epilogue()), [value, weight])[0]
      builder.output("linear\(index)", value)
    }
    let image = ReferenceValue.real(DoubleTensor(widening: source.normal([1, 28, 28, 1])))
    let outputs = try ReferenceEvaluator(builder.finish()).run(["x": image]).outputs
    #expect(
      outputs.mapValues(\.shape) == [
        "pool0": [1, 14, 14, 20], "pool1": [1, 7, 7, 50], "linear0": [1, 500], "linear1": [1, 10],
      ])
  }
}
