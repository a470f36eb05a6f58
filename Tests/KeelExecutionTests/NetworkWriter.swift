import KeelExecution
import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Writes small networks with random weights by hand, as an importer would.
struct NetworkWriter {
  var builder = GraphBuilder()
  var source: TensorSource
  /// Whether all numbers are small multiples of powers of two, so that folding rounds nothing.
  let isExact: Bool

  init(seed: UInt64, isExact: Bool = false) {
    source = TensorSource(seed: seed)
    self.isExact = isExact
  }

  /// Random numbers of a deviation; where exact, multiples of a quarter up to 2.
  mutating func numbers(_ shape: Shape, deviation: Double = 1) -> Tensor {
    guard isExact else { return source.normal(shape, deviation: deviation) }
    let whole = source.labels(shape.elementCount, classes: 17)
    return Tensor(uninitialized: shape) { out in
      for i in out.indices { out[i] = Float(whole[flat: i] - 8) / 4 }
    }
  }

  /// Powers of 4 around 1, or of 2 where `isScale`, some of them negative.
  private mutating func powers(_ count: Int, isScale: Bool) -> Tensor {
    let whole = source.labels(count, classes: 6)
    return Tensor(uninitialized: [count]) { out in
      for i in out.indices {
        let power = [0.25, 1, 4][Int(whole[flat: i]) % 3] as Float
        out[i] = isScale ? power.squareRoot() * (whole[flat: i] < 3 ? 1 : -1) : power
      }
    }
  }

  mutating func convolution(
    _ x: ValueID, _ geometry: ConvolutionGeometry, bias: Bool = false, weight: ValueID? = nil,
    label: String
  ) throws -> ValueID {
    let deviation = 1 / Double(geometry.reductionLength).squareRoot()
    var inputs = [
      x,
      weight
        ?? builder.weight("\(label).weight", numbers(geometry.weightShape, deviation: deviation)),
    ]
    if bias { inputs.append(builder.weight("\(label).bias", numbers([geometry.outputChannels]))) }
    return try builder.append(
      .convolution(geometry, Epilogue(hasBias: bias)), inputs, label: label)[0]
  }

  mutating func transposedConvolution(
    _ x: ValueID, _ geometry: ConvolutionGeometry, bias: Bool = false, label: String
  ) throws -> ValueID {
    let length = geometry.tapCount * geometry.outputChannelsPerGroup
    let deviation = 1 / Double(length).squareRoot()
    var inputs = [
      x, builder.weight("\(label).weight", numbers(geometry.weightShape, deviation: deviation)),
    ]
    if bias { inputs.append(builder.weight("\(label).bias", numbers([geometry.inputChannels]))) }
    return try builder.append(
      .transposedConvolution(geometry, Epilogue(hasBias: bias)), inputs, label: label)[0]
  }

  mutating func linear(
    _ x: ValueID, _ inputs: Int, _ outputs: Int, bias: Bool = false, label: String
  ) throws -> ValueID {
    let deviation = 1 / Double(inputs).squareRoot()
    var operands = [
      x, builder.weight("\(label).weight", numbers([outputs, inputs], deviation: deviation)),
    ]
    if bias { operands.append(builder.weight("\(label).bias", numbers([outputs]))) }
    return try builder.append(.linear(Epilogue(hasBias: bias)), operands, label: label)[0]
  }

  /// A batch norm with given statistics; scales are of either sign.
  mutating func norm(
    _ x: ValueID, affine: Bool = true, epsilon: Float = 1e-5, epilogue: Epilogue = Epilogue(),
    residual: ValueID? = nil, label: String
  ) throws -> ValueID {
    let channels = builder.graph.type(of: x).channelCount!
    let variance =
      isExact
      ? powers(channels, isScale: false) : source.uniform([channels], from: 0.5, to: 2)
    var inputs = [
      x, builder.weight("\(label).runningMean", numbers([channels]), role: .state),
      builder.weight("\(label).runningVariance", variance, role: .state),
    ]
    if affine {
      let scale = isExact ? powers(channels, isScale: true) : numbers([channels])
      inputs.append(builder.weight("\(label).scale", scale))
      inputs.append(builder.weight("\(label).shift", numbers([channels])))
    }
    if let residual { inputs.append(residual) }
    let normalization = try Normalization(
      statistics: .given, operation: .standardize(epsilon: isExact ? 0 : epsilon),
      recovery: affine ? .affine : .none, epilogue: epilogue)
    return try builder.append(.normalization(normalization), inputs, label: label)[0]
  }

  mutating func relu(_ x: ValueID, label: String = "relu") throws -> ValueID {
    try activation(.relu, x, label: label)
  }

  mutating func activation(_ activation: Activation, _ x: ValueID, label: String = "act") throws
    -> ValueID
  {
    try builder.append(.activation(activation), [x], label: label)[0]
  }

  mutating func add(_ a: ValueID, _ b: ValueID, label: String = "sum") throws -> ValueID {
    try builder.append(.add, [a, b], label: label)[0]
  }

  mutating func concatenation(_ values: [ValueID], axis: Int = 3) throws -> ValueID {
    try builder.append(.concatenation(axis: axis), values, label: "concatenation")[0]
  }

  mutating func globalAverage(_ x: ValueID, label: String = "pool") throws -> ValueID {
    try builder.append(.reduction(Reduction(.mean, axes: [1, 2])), [x], label: label)[0]
  }
}

/// A square convolution that keeps height and width.
func sameGeometry(
  _ size: Int, _ inputs: Int, _ outputs: Int, kernel: Int = 3, groups: Int = 1
) throws -> ConvolutionGeometry {
  try ConvolutionGeometry(
    inputHeight: size, inputWidth: size, inputChannels: inputs, outputChannels: outputs,
    kernel: (kernel, kernel), padding: (kernel / 2, kernel / 2), groups: groups)
}

/// Exact plans with constant weights and with weights that change, held to the interpreter's bits on random inputs.
func expectPlansEqualInterpreter(
  _ graph: Graph, seed: UInt64, threads: Int
) throws -> (constant: Plan, variable: Plan) {
  let inputs = try graph.randomInputs(seed: seed)
  let expected = try Interpreter(graph, parallelism: .serial).run(inputs).outputs
  func plan(_ weights: PlanOptions.Weights) throws -> Plan {
    let plan = try Plan(
      graph, inputShapes: inputs.mapValues(\.shape),
      options: PlanOptions(threads: threads, weights: weights, exact: true))
    expectSameBits(try plan(inputs), expected, "\(weights)")
    return plan
  }
  return (try plan(.constant), try plan(.variable))
}

extension Graph {
  /// Random values for the inputs, open extents at `batch`; labels are below `classes`.
  func randomInputs(seed: UInt64, batch: Int = 3, classes: Int = 10, isExact: Bool = false) throws
    -> [String: TensorValue]
  {
    var writer = NetworkWriter(seed: seed ^ 0xDA7A, isExact: isExact)
    var result: [String: TensorValue] = [:]
    for input in inputs {
      let type = self.type(of: input.value)
      let shape = try type.shape(binding: ["batch": batch])
      result[input.name] =
        type.elementType == .int64
        ? .int64(writer.source.labels(shape.elementCount, classes: classes))
        : .float32(writer.numbers(shape))
    }
    return result
  }

  /// The Double evaluator's results.
  func reference(_ inputs: [String: TensorValue]) throws -> ReferenceResults {
    var values: [String: ReferenceValue] = [:]
    for (name, value) in inputs { values[name] = ReferenceValue(value) }
    return try ReferenceEvaluator(self).run(values)
  }
}

/// Expects a plan's outputs to be an interpreter's, bit for bit.
func expectSameBits(
  _ actual: [String: TensorValue], _ expected: [String: TensorValue], _ what: String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(
    actual.keys.sorted() == expected.keys.sorted(), "\(what)", sourceLocation: sourceLocation)
  for (name, value) in expected {
    guard let other = actual[name] else { continue }
    #expect(
      other.shape == value.shape && other.bits == value.bits, "\(what), \(name): bits differ",
      sourceLocation: sourceLocation)
  }
}

extension TensorValue {
  /// The elements' bit patterns.
  var bits: [UInt64] {
    switch self {
    case .float32(let tensor): tensor.elements.map { UInt64($0.bitPattern) }
    case .int64(let tensor): tensor.elements.map { UInt64(bitPattern: $0) }
    case .bool(let tensor): tensor.elements.map { $0 ? 1 : 0 }
    }
  }
}
