import KeelGraph
import KeelTensor

/// Evaluates a graph in Double, straight from the formulas: the oracle of tests and of `verify`.
///
/// Every operation is written as its definition says, with direct loops and without any of the ways by
/// which kernels are made fast, so that agreement with a kernel means something. Floats of the
/// graph (weights, ε, momentum) are widened, not rounded again.
///
/// Cost: one multiply-add per multiply-add of the network, on one thread; all values of a run are
/// kept until it ends.
public struct ReferenceEvaluator: Sendable {
  private let graph: Graph
  private let weights: [String: DoubleTensor]

  /// Makes an evaluator of a graph; its weights are widened once.
  public init(_ graph: Graph) {
    self.graph = graph
    weights = Dictionary(
      uniqueKeysWithValues: graph.weights.map { ($0.name, DoubleTensor(widening: $0.tensor)) })
  }

  /// Runs the graph.
  ///
  /// - Parameters:
  ///   - inputs: a value for each input of the graph.
  ///   - weights: values for some weights instead of the graph's own, by name; finite differences
  ///     need weights that no Float holds.
  ///   - progress: is told how many of how many operations are done.
  /// - Throws: `KeelError` of kind `graph` for missing or unknown names; of kind `shape` for values
  ///   that do not fit and for a batch norm that sees one value per channel; of kind `value` for
  ///   labels out of range and given statistics that would make NaN of every input.
  public func run(
    _ inputs: [String: ReferenceValue], weights: [String: DoubleTensor] = [:],
    progress: (_ done: Int, _ count: Int) -> Void = { _, _ in }
  ) throws(KeelError) -> ReferenceResults {
    let symbols = try graph.bindSymbols(inputShapes: inputs.mapValues(\.shape))
    var values = [ReferenceValue?](repeating: nil, count: graph.types.count)
    for input in graph.inputs {
      guard let value = inputs[input.name] else { continue }
      let type = graph.type(of: input.value)
      guard value.elementType == type.elementType else {
        throw KeelError(
          .shape, at: "input \(input.name)", expected: "\(type)",
          found: "\(value.elementType.rawValue) \(value.shape)")
      }
      values[input.value.index] = value
    }
    try checkNames(of: weights)
    for weight in graph.weights {
      let value = weights[weight.name] ?? self.weights[weight.name]!
      guard value.shape == weight.tensor.shape else {
        throw KeelError(
          .shape, at: "weight \(weight.name)", expected: "\(weight.tensor.shape)",
          found: "\(value.shape)")
      }
      values[weight.value.index] = .real(value)
    }
    for (position, node) in graph.nodes.enumerated() {
      progress(position, graph.nodes.count)
      let evaluation = NodeEvaluation(
        node: node, operands: node.inputs.map { values[$0.index]! }, symbols: symbols)
      for (output, result) in zip(node.outputs, try evaluation.results()) {
        let expected = try graph.type(of: output).shape(binding: symbols)
        precondition(
          result.shape == expected, "\(node.label): expected \(expected), found \(result.shape)")
        values[output.index] = result
      }
    }
    func real(_ value: ValueID) -> DoubleTensor { values[value.index]!.asReal }
    return ReferenceResults(
      outputs: Dictionary(uniqueKeysWithValues: graph.outputs.map { ($0.name, real($0.value)) }),
      updates: Dictionary(uniqueKeysWithValues: graph.updates.map { ($0.weight, real($0.value)) }))
  }

  private func checkNames(of weights: [String: DoubleTensor]) throws(KeelError) {
    for name in weights.keys.sorted() where self.weights[name] == nil {
      throw KeelError(
        .graph, at: "weight \(name)", expected: "a weight of the graph", found: "none")
    }
  }
}

/// What a run of the reference gives back.
public struct ReferenceResults: Sendable {
  /// The graph's outputs by name; integers are given as whole numbers, truth values as 0 and 1.
  public let outputs: [String: DoubleTensor]
  /// The new values of weights, by the weight's name.
  public let updates: [String: DoubleTensor]
}

extension ReferenceValue {
  /// The numbers; truth values are 0 and 1.
  internal var asReal: DoubleTensor {
    switch self {
    case .real(let tensor): tensor
    case .int64(let tensor):
      DoubleTensor(uninitialized: tensor.shape) { out in
        for i in out.indices { out[i] = Double(tensor[flat: i]) }
      }
    case .bool(let tensor):
      DoubleTensor(uninitialized: tensor.shape) { out in
        for i in out.indices { out[i] = tensor[flat: i] ? 1 : 0 }
      }
    }
  }
}
