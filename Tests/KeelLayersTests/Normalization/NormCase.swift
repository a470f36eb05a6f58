import KeelExecution
import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// A norm with its inputs, to be run in every way there is: input 0 is x.
///
/// Its parameters are random unless told, so that no test passes because a scale is 1 or a mean is 0.
struct NormCase: Sendable, CustomTestStringConvertible {
  let name: String
  let values: [TensorValue]
  /// Parameters and inputs that y does not depend on smoothly, or not at all.
  let excluded: Set<String>
  /// Whether training differentiates something else than it computes: a power iteration's steps are
  /// constants to the gradient.
  let stepsOutsideGradient: Bool
  private let model: any Sendable
  private let record: @Sendable ([Variable]) -> Variable
  var testDescription: String { name }

  init<Model: Sendable>(
    _ name: String, _ model: Model, _ values: [TensorValue], excluding excluded: Set<String> = [],
    stepsOutsideGradient: Bool = false, randomizes: Bool = true,
    _ record: @escaping @Sendable (Model, [Variable]) -> Variable
  ) {
    self.name = name
    self.values = values
    self.excluded = excluded
    self.stepsOutsideGradient = stepsOutsideGradient
    self.model = model
    self.record = { record(model, $0) }
    if randomizes { randomizeParameters(of: model, seed: 31) }
  }

  /// A layer of one input.
  init(
    _ name: String, _ layer: some Layer, _ shape: Shape, excluding excluded: Set<String> = [],
    stepsOutsideGradient: Bool = false, randomizes: Bool = true
  ) {
    self.init(
      name, layer, [.normal(shape)], excluding: excluded,
      stepsOutsideGradient: stepsOutsideGradient, randomizes: randomizes
    ) { layer, inputs in layer(inputs[0]) }
  }

  static func input(_ index: Int) -> String { index == 0 ? "x" : "x\(index)" }

  /// The inputs by name.
  var inputs: [String: TensorValue] {
    Dictionary(
      uniqueKeysWithValues: values.enumerated().map { (Self.input($0.offset), $0.element) })
  }

  /// The recorded norm, with output `y`.
  func graph(_ mode: Trace.Mode) throws(KeelError) -> Graph {
    let trace = Trace(model: model, mode: mode)
    let variables = values.enumerated().map { index, value in
      trace.input(Self.input(index), ValueType(value.elementType, shape: value.shape))
    }
    trace.output("y", record(variables))
    return try trace.finish()
  }

  /// The trainable weights and Float inputs of a graph.
  func differentiableNames(_ graph: Graph) -> [String] {
    let weights = graph.weights.filter { $0.role == .trainable }.map(\.name)
    let floats = graph.inputs.filter { graph.type(of: $0.value).elementType == .float32 }
    return (weights + floats.map(\.name)).filter { !excluded.contains($0) }
  }
}

/// Gives every parameter random values that fit it: variances above 0, ρ in 0…1.
func randomizeParameters(of model: Any, seed: UInt64) {
  var source = TensorSource(seed: seed)
  for (path, parameter) in ParameterNaming.parameters(of: model) where parameter.failure == nil {
    let name = path.split(separator: ".").reversed().first { Int($0) == nil } ?? ""
    switch name {
    case "batchCount", "u", "v": break
    case "rho": parameter.value = source.uniform(parameter.shape, from: 0.2, to: 0.8)
    case "runningCovariance": parameter.value = covariances(parameter.shape)
    case let name where name.contains("ariance") && parameter.role == .state:
      parameter.value = source.uniform(parameter.shape, from: 0.5, to: 2)
    default: parameter.value = source.normal(parameter.shape, mean: 0.3, deviation: 0.7)
    }
  }
}

/// Positive definite matrices of blocks, packed.
private func covariances(_ shape: Shape) -> Tensor {
  Tensor(uninitialized: shape) { out in
    for i in out.indices {
      let (row, column) = (i / shape[1], i % shape[1] % shape[0])
      out[i] = row == column ? 1.5 : 0.4 / Float(1 + row + column)
    }
  }
}

extension TensorValue {
  /// Normal numbers, the same for the same shape and seed.
  static func normal(_ shape: Shape, mean: Double = 0.4, seed: UInt64 = 32) -> TensorValue {
    var source = TensorSource(seed: seed)
    return .float32(source.normal(shape, mean: mean))
  }

  /// Labels.
  static func labels(_ labels: [Int64], _ shape: Shape? = nil) -> TensorValue {
    .int64(try! IndexTensor(labels, shape: shape ?? [labels.count]))
  }
}

extension Graph {
  /// The Double evaluator's results.
  func reference(_ inputs: [String: TensorValue]) throws -> ReferenceResults {
    var values: [String: ReferenceValue] = [:]
    for (name, value) in inputs { values[name] = ReferenceValue(value) }
    return try ReferenceEvaluator(self).run(values)
  }

  /// y by the interpreter.
  func y(_ inputs: [String: TensorValue]) throws -> Tensor {
    try Interpreter(self).run(inputs).outputs["y"]!.floats(at: "y")
  }
}

/// y of a layer on one tensor, by the interpreter.
func y(_ layer: some Layer, _ x: Tensor, mode: Trace.Mode = .training) throws -> Tensor {
  let input = x.shape.extents.map(Extent.fixed)
  return try Graph(tracing: layer, input: input, mode: mode).y(["x": .float32(x)])
}

/// Expects numbers as printed or worked out by hand.
func expectNumbers(
  _ actual: Tensor, _ expected: [Double], within distance: Double = 2e-6, _ what: String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  expectClose(
    actual.elements.map(Double.init), expected, within: distance, what,
    sourceLocation: sourceLocation)
}

/// Expects two norms to give the same y, and, for the same dy, the same dx.
func expectSame(
  _ a: NormCase, _ b: NormCase, mode: Trace.Mode = .training, bound: Double = 1e-12,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let results = try [a, b].map { test in
    let graph = try test.graph(mode).contracted("y", seed: 33)
      .differentiated(contractedName, withRespectTo: .named(["x"]))
    return try graph.reference(test.inputs).outputs
  }
  for name in ["y", Graph.gradientName("x")] {
    expectClose(
      results[0][name]!, results[1][name]!, bound: bound, "\(a.name), \(b.name): \(name)",
      sourceLocation: sourceLocation)
  }
}
