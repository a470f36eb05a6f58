public import KeelGraph
public import KeelKernels
public import KeelTensor

/// Runs a graph node by node with the same kernels as plans, each value in memory of its own: for looking
/// into a network, and to check plans: the results of those that are `PlanOptions.exact` are the same bit for bit.
public struct Interpreter: Sendable {
  /// What is run.
  public let graph: Graph
  /// The threads to use.
  public let parallelism: Parallelism

  /// Makes an interpreter.
  public init(_ graph: Graph, parallelism: Parallelism = Parallelism()) {
    self.graph = graph
    self.parallelism = parallelism
  }

  /// What a run yields.
  public struct Results: Sendable {
    /// The outputs by name.
    public var outputs: [String: TensorValue] = [:]
    /// New values of weights by name.
    public var updates: [String: Tensor] = [:]
  }

  /// Runs the graph.
  /// - Throws: `KeelError` for missing or ill-shaped inputs, and for operands that an operation cannot
  ///   take.
  public func run(_ inputs: [String: TensorValue]) throws(KeelError) -> Results {
    let symbols = try graph.bindSymbols(inputShapes: inputs.mapValues(\.shape))
    var values = [TensorValue?](repeating: nil, count: graph.types.count)
    for input in graph.inputs {
      let value = inputs[input.name]!
      guard value.elementType == graph.type(of: input.value).elementType else {
        throw KeelError(
          .shape, at: "input \(input.name)", expected: "\(graph.type(of: input.value))",
          found: "\(value.elementType.rawValue) \(value.shape)")
      }
      values[input.value.index] = value
    }
    for weight in graph.weights { values[weight.value.index] = .float32(weight.tensor) }
    for node in graph.nodes {
      let operands = node.inputs.map { values[$0.index]! }
      var shapes: [Shape] = []
      for output in node.outputs {
        shapes.append(try graph.type(of: output).shape(binding: symbols))
      }
      if node.primitive.isCopy {
        values[node.outputs[0].index] = try operands[0].reshaped(to: shapes[0])
        continue
      }
      let types = node.outputs.map { graph.type(of: $0).elementType }
      let results = try run(node, operands, types, shapes)
      for (output, result) in zip(node.outputs, results) { values[output.index] = result }
    }
    var results = Results()
    for output in graph.outputs { results.outputs[output.name] = values[output.value.index]! }
    for update in graph.updates {
      results.updates[update.weight] = try values[update.value.index]!.floats(at: update.weight)
    }
    return results
  }

  /// Runs one node with results of given types and shapes.
  internal func run(
    _ node: Node, _ operands: [TensorValue], _ types: [ElementType], _ shapes: [Shape]
  ) throws(KeelError) -> [TensorValue] {
    let kernel = try KernelRequest(
      node: node, inputs: operands.map(\.shape), outputs: shapes, elementType: types[0],
      operandType: operands.first?.elementType ?? .float32,
      parallelism: parallelism
    ).prepare()
    let results = zip(types, shapes).map { TensorValue(zeros: $0, $1) }
    let scratch = Tensor(zeros: [max(kernel.scratchCount, 1)])
    defer { withExtendedLifetime((operands, results, scratch)) {} }
    try kernel.run(
      Operands(
        inputs: operands.map(\.address),
        outputs: results.map(\.address),
        scratch: scratch.unsafeBase), parallelism)
    return results
  }
}

extension TensorValue {
  /// Makes a tensor of zeros (of false).
  fileprivate init(zeros type: ElementType, _ shape: Shape) {
    switch type {
    case .float32: self = .float32(DenseArray(zeros: shape))
    case .int64: self = .int64(DenseArray(zeros: shape))
    case .bool: self = .bool(DenseArray(repeating: false, shape: shape))
    }
  }

  /// The same elements, of whatever type, under another shape.
  fileprivate func reshaped(to shape: Shape) throws(KeelError) -> TensorValue {
    switch self {
    case .float32(let tensor): .float32(try tensor.reshaped(to: shape))
    case .int64(let tensor): .int64(try tensor.reshaped(to: shape))
    case .bool(let tensor): .bool(try tensor.reshaped(to: shape))
    }
  }

  /// The address of the first element, valid while the value is alive. Operands are only read, results
  /// written before anyone else holds them.
  fileprivate var address: UnsafeMutableRawPointer {
    switch self {
    case .float32(let tensor): UnsafeMutableRawPointer(tensor.unsafeBase)
    case .int64(let tensor): UnsafeMutableRawPointer(tensor.unsafeBase)
    case .bool(let tensor): UnsafeMutableRawPointer(tensor.unsafeBase)
    }
  }
}
