internal import KeelGraph
internal import KeelTensor

/// What a graph computes from its weights alone, computed when a plan with constant weights is made: the
/// maps that folding leaves for zero padding, fills, anything an importer left unfolded.
internal struct ConstantResults {
  /// The tensors by `ValueID.index`, weights among them.
  private(set) var tensors: [Int: Tensor] = [:]
  /// The positions of the nodes that need not run any more.
  private(set) var nodes: Set<Int> = []

  /// Nothing is constant.
  init() {}

  /// Runs the nodes that depend on no input.
  /// - Throws: what their kernels throw.
  init(_ graph: Graph, shapes: [Shape], options: PlanOptions) throws(KeelError) {
    let interpreter = Interpreter(graph, parallelism: options.parallelism)
    for weight in graph.weights { tensors[weight.value.index] = weight.tensor }
    for (position, node) in graph.nodes.enumerated() {
      let operands = node.inputs.compactMap { tensors[$0.index] }
      guard operands.count == node.inputs.count,
        node.outputs.allSatisfy({ graph.type(of: $0).elementType == .float32 })
      else { continue }
      let results = try interpreter.run(
        node, operands.map(TensorValue.float32), node.outputs.map { _ in .float32 },
        node.outputs.map { shapes[$0.index] })
      for (output, result) in zip(node.outputs, results) {
        tensors[output.index] = try result.floats(at: node.label)
      }
      nodes.insert(position)
    }
  }
}
