import KeelGraph
import KeelReference
import KeelTensor
import Testing

/// One operation with the names, shapes and kinds of its operands: what gradient checks of the
/// reference and comparisons of kernels with the reference are run on.
public struct PrimitiveCase: Sendable, CustomTestStringConvertible {
  /// One operand.
  public struct Operand: Sendable {
    /// What the operand is filled with.
    public enum Filling: Sendable {
      /// Normal numbers of mean 0 and deviation 1.
      case normal
      /// Normal numbers of mean 0 and deviation 3: into the flat parts of activations.
      case wide
      /// Uniform numbers in [0.5, 2), as variances are.
      case positive
      /// Numbers well apart from each other.
      case distinct
      /// Whole numbers below a bound, and some that are to be ignored.
      case labels(classes: Int, ignored: Int? = nil)
      /// Uniform numbers in [0, 1).
      case unit
      /// Distributions along the last axis; one number in four is 0.
      case probabilities
      /// −1 or 1.
      case signs
      /// 0 or 1.
      case binary
      /// True or false.
      case truth
      /// One integer.
      case seed
      /// Moments of cells: counts from 2 on, means with a rest, positive squared deviations.
      case moments
    }

    /// The operand's name, such as `weight`.
    public let name: String
    /// The extents.
    public let shape: Shape
    /// What it is filled with.
    public let filling: Filling
    /// Whether the operation has a gradient with respect to it.
    public let isDifferentiable: Bool

    /// Makes an operand.
    public init(
      _ name: String, _ shape: Shape, _ filling: Filling = .normal, isDifferentiable: Bool = true
    ) {
      self.name = name
      self.shape = shape
      self.filling = filling
      self.isDifferentiable = isDifferentiable
    }
  }

  /// What sets the case apart.
  public let name: String
  /// The operation.
  public let primitive: Primitive
  /// Its operands in order.
  public let operands: [Operand]

  /// Makes a case.
  public init(_ name: String, _ primitive: Primitive, _ operands: [Operand]) {
    self.name = name
    self.primitive = primitive
    self.operands = operands
  }

  /// The name, as test reports show it.
  public var testDescription: String { name }

  /// The names of the operands that have a gradient.
  public var differentiableNames: [String] {
    operands.filter(\.isDifferentiable).map(\.name)
  }

  /// Contents for the operands.
  public func values(seed: UInt64) -> [TensorValue] {
    var source = TensorSource(seed: seed)
    return operands.map { operand in
      switch operand.filling {
      case .normal: .float32(source.normal(operand.shape))
      case .wide: .float32(source.normal(operand.shape, deviation: 3))
      case .positive: .float32(source.uniform(operand.shape, from: 0.5, to: 2))
      case .distinct: .float32(source.distinct(operand.shape))
      case .labels(let classes, let ignored):
        .int64(source.labels(operand.shape, classes: classes, ignored: ignored))
      case .unit: .float32(source.uniform(operand.shape))
      case .probabilities: .float32(source.probabilities(operand.shape))
      case .signs: .float32(source.choice(operand.shape, of: [-1, 1]))
      case .binary: .float32(source.choice(operand.shape, of: [0, 1]))
      case .truth:
        .bool(source.truth(operand.shape))
      case .moments: .float32(source.moments(operand.shape))
      case .seed: .int64(IndexTensor(repeating: Int64(seed &* 0x1234_5678_9ABC), shape: []))
      }
    }
  }

  /// A graph of the one operation, with its Float operands as weights of that name, its labels as an
  /// input, and its first result as output `y`.
  public func graph(seed: UInt64) throws(KeelError) -> Graph {
    var builder = GraphBuilder()
    var inputs: [ValueID] = []
    for (operand, value) in zip(operands, values(seed: seed)) {
      switch value {
      case .float32(let tensor): inputs.append(builder.weight(operand.name, tensor))
      case .int64, .bool:
        inputs.append(
          builder.input(operand.name, ValueType(value.elementType, shape: value.shape)))
      }
    }
    let results = try builder.append(primitive, inputs, label: name)
    builder.output("y", results[0])
    return try builder.finish()
  }

  /// The values of the graph's inputs: the labels.
  public func inputs(seed: UInt64) -> [String: ReferenceValue] {
    var result: [String: ReferenceValue] = [:]
    for (operand, value) in zip(operands, values(seed: seed)) {
      if value.elementType != .float32 { result[operand.name] = ReferenceValue(value) }
    }
    return result
  }

  /// The reference's results for these operands.
  public func referenceResults(seed: UInt64) throws(KeelError) -> [DoubleTensor] {
    try evaluate(primitive, values(seed: seed).map { ReferenceValue($0) })
  }
}

/// The reference's results of one operation.
/// - Throws: what shape inference and the evaluator throw, at place `test`.
public func evaluate(_ primitive: Primitive, _ operands: [ReferenceValue]) throws(KeelError)
  -> [DoubleTensor]
{
  var builder = GraphBuilder()
  var inputs: [String: ReferenceValue] = [:]
  var values: [ValueID] = []
  for (index, operand) in operands.enumerated() {
    let name = "operand \(index)"
    inputs[name] = operand
    values.append(builder.input(name, ValueType(operand.elementType, shape: operand.shape)))
  }
  let results = try builder.append(primitive, values, label: "test")
  for (index, result) in results.enumerated() { builder.output("\(index)", result) }
  let outputs = try ReferenceEvaluator(builder.finish()).run(inputs).outputs
  return results.indices.map { outputs["\($0)"]! }
}

/// The reference's results of one operation on real operands.
/// - Throws: as for operands of any kind.
public func evaluate(_ primitive: Primitive, _ operands: [DoubleTensor]) throws(KeelError)
  -> [DoubleTensor]
{
  try evaluate(primitive, operands.map(ReferenceValue.real))
}
