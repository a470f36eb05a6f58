internal import KeelGraph
internal import KeelTensor

/// Folds a whitening by running statistics into the convolution, transposed or not, or linear layer before it:
/// weight′ = M·weight, bias′ = M·(bias − mean) + shift.
internal enum BlockMapIntoProducer: FoldingRule {
  static func apply(at position: Int, _ state: inout FoldingState) throws(Refusal) -> Bool {
    guard let map = try BlockAffine(at: position, state) else { return false }
    let node = state.editor.nodes[position]!
    guard let producer = state.editor.producer(of: node.inputs[0]),
      var weights = try WeightedMap(at: producer, state)
    else { throw Refusal("nothing before it has weights") }
    let target = state.editor.nodes[producer]!
    guard let end = target.primitive.epilogue, end.activation == nil, !end.hasResidual,
      target.outputs.count == 1
    else { throw Refusal("\(state.name(producer)) is not linear up to it") }
    guard state.hasOneConsumer(node.inputs[0]) else {
      throw Refusal("the result of \(target.label) is taken elsewhere too")
    }
    try weights.apply(map)
    state.note(position, .folded, into: state.name(producer))
    state.editor.nodes[position] = nil
    state.store(weights, at: producer)
    state.editor.nodes[producer]!.outputs[0] = node.outputs[0]
    return true
  }
}

/// Folds such a whitening into the operations after it, where their padding does not reach what it maps:
/// weight′ = weight·M, bias′ = bias + Σ weight·(shift − M·mean).
internal enum BlockMapIntoConsumers: FoldingRule {
  static func apply(at position: Int, _ state: inout FoldingState) throws(Refusal) -> Bool {
    guard let map = try BlockAffine(at: position, state) else { return false }
    let node = state.editor.nodes[position]!
    let output = node.outputs[0]
    guard !state.editor.isResult(output) else { throw Refusal("its result leaves the graph") }
    var absorbed: [(position: Int, map: WeightedMap)] = []
    for consumer in state.editor.consumers(of: output) {
      guard var weights = try WeightedMap(at: consumer, state),
        state.editor.nodes[consumer]!.inputs.count(where: { $0 == output }) == 1
      else { throw Refusal("\(state.name(consumer)) after it cannot take it in") }
      guard state.hasOneConsumer(state.editor.nodes[consumer]!.inputs[1]) else {
        throw Refusal("the weight of \(state.name(consumer)) is taken elsewhere too")
      }
      try weights.absorb(map)
      absorbed.append((consumer, weights))
    }
    guard !absorbed.isEmpty else { return false }
    state.note(
      position, .folded, into: absorbed.map { state.name($0.position) }.joined(separator: ", "))
    state.editor.nodes[position] = nil
    state.editor.replaceUses(of: output, with: node.inputs[0])
    for (position, weights) in absorbed { state.store(weights, at: position) }
    return true
  }
}
