import KeelExecution
import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Class golden: worked examples on the Float kernels.
@Suite struct WorkedExampleTests {
  private func run(_ primitive: Primitive, _ operands: [Tensor]) throws -> Tensor {
    try apply(primitive, operands.map { .float32($0) })
  }

  @Test func crossCorrelation() throws {
    let example = WorkedExamples.crossCorrelation
    let geometry = try ConvolutionGeometry(
      inputHeight: 3, inputWidth: 3, inputChannels: 1, outputChannels: 1, kernel: (2, 2))
    let y = try run(
      .convolution(geometry, Epilogue()),
      [
        Tensor(rounding: example.inputTensor),
        Tensor(rounding: WorkedExamples.crossCorrelationKernel),
      ])
    #expect(y == Tensor(rounding: example.outputTensor))
  }

  @Test func filterBanks() throws {
    for (filters, batch) in [(1, 1), (6, 1), (6, 2), (10, 3)] {
      let geometry = try ConvolutionGeometry(
        inputHeight: 32, inputWidth: 32, inputChannels: 3, outputChannels: filters, kernel: (5, 5))
      let y = try run(
        .convolution(geometry, Epilogue(hasBias: true)),
        [
          Tensor(repeating: 1, shape: [batch, 32, 32, 3]),
          Tensor(repeating: 1, shape: [filters, 5, 5, 3]),
          Tensor(repeating: 0.5, shape: [filters]),
        ])
      #expect(y.shape == [batch, 28, 28, filters])
      #expect(y.elements.allSatisfy { $0 == 75.5 })
    }
  }

  @Test func batchNormShapes() throws {
    // 20×100×35×45 in channels-first order: 100 means over 31 500 values each.
    var source = TensorSource(seed: 71)
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 35, 45, 100]))
    let results = try builder.append(
      .normalization(Normalization(statistics: .current, recovery: .none)), [x])
    builder.output("y", results[0])
    builder.output("moments", results[1])
    let input = source.normal([20, 35, 45, 100], mean: 3, deviation: 2)
    let outputs = try Plan(builder.finish(), inputShapes: ["x": input.shape])(["x": .float32(input)]
    )
    let moments = try outputs["moments"]!.floats(at: "moments")
    #expect(moments.shape == [4, 100])
    for channel in 0..<100 { #expect(moments[MomentsLayout.count, channel] == 31_500) }
    let y = DoubleTensor(widening: try outputs["y"]!.floats(at: "y"))
    #expect(y.shape == [20, 35, 45, 100])
    let statistics = y.channelStatistics
    #expect(statistics.means.allSatisfy { abs($0) <= 1e-7 })
    #expect(statistics.deviations.allSatisfy { abs($0 - 1) <= 1e-5 })
  }

  @Test func maxPooling() throws {
    for (example, size, stride, ceilMode) in [
      (WorkedExamples.maxPooling, 4, 2, false), (WorkedExamples.tiedPooling, 5, 2, false),
      (WorkedExamples.roundedUpPooling, 5, 2, true),
      (WorkedExamples.overlappingPooling, 5, 1, false),
    ] {
      let y = try run(
        .pooling(poolingGeometry(size, stride: stride, ceilMode: ceilMode)),
        [Tensor(rounding: example.inputTensor)])
      #expect(y == Tensor(rounding: example.outputTensor))
    }
  }

  @Test(arguments: [1, 5, 16, 33])
  func firstOfEqualMaximaGetsTheGradient(channels: Int) throws {
    // The same image in every channel: vectors and what is left over agree.
    let example = WorkedExamples.tiedPoolingGradient
    func spread(_ image: DoubleTensor) -> Tensor {
      let shape: Shape = [1, image.shape[1], image.shape[2], channels]
      return Tensor(uninitialized: shape) { out in
        for i in out.indices { out[i] = Float(image[flat: i / channels]) }
      }
    }
    let dx = try run(
      .poolingGradient(poolingGeometry(5, stride: 2, channels: channels)),
      [spread(example.dy), spread(WorkedExamples.tiedPooling.inputTensor)])
    #expect(dx == spread(example.dx))
  }

  private func poolingGeometry(
    _ size: Int, stride: Int, channels: Int = 1, ceilMode: Bool = false
  ) throws -> PoolingGeometry {
    try PoolingGeometry(
      .maximum, inputHeight: size, inputWidth: size, channels: channels, window: (2, 2),
      stride: (stride, stride), ceilMode: ceilMode)
  }
}

/// One result of the Float kernel for one operation.
func apply(_ primitive: Primitive, _ operands: [TensorValue], result: Int = 0) throws -> Tensor {
  var builder = GraphBuilder()
  var inputs: [String: TensorValue] = [:]
  var values: [ValueID] = []
  for (index, operand) in operands.enumerated() {
    inputs["\(index)"] = operand
    values.append(
      builder.input("\(index)", ValueType(operand.elementType, shape: operand.shape)))
  }
  builder.output("y", try builder.append(primitive, values, label: "test")[result])
  let plan = try Plan(builder.finish(), inputShapes: inputs.mapValues(\.shape))
  return try plan(inputs)["y"]!.floats(at: "y")
}
