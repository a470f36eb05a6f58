import KeelTensor

extension GradientRule {
  /// Whether the gradients include those that were present: the pass that makes them adds them.
  var addsToPresent: Bool {
    if case .comoments = node.primitive { true } else { false }
  }

  /// The gradient of co-moments, of a whitening or coloring matrix and of a block map.
  func comoments(
    _ blocks: ChannelBlocks, _ dTable: ValueID, in builder: inout GraphBuilder
  ) throws(KeelError) -> [ValueID?] {
    let operands = [dTable, node.inputs[0], node.outputs[0]]
    guard let dx = present[0] else {
      return [try one(.comomentsGradient(blocks, residual: .none), operands, in: &builder)]
    }
    if let (dy, matrix) = builder.takeBackInputGradient(dx, blocks) {
      return [
        try one(
          .comomentsGradient(blocks, residual: .mapped), operands + [dy, matrix], in: &builder)
      ]
    }
    return [try one(.comomentsGradient(blocks, residual: .given), operands + [dx], in: &builder)]
  }

  func whitening(
    _ rule: Whitening, _ blocks: ChannelBlocks, _ dMatrix: ValueID, in builder: inout GraphBuilder
  ) throws(KeelError) -> [ValueID?] {
    if results.count > 1, results[1] != nil { throw missing("a gradient through its matrix only") }
    return [
      try one(
        .whiteningGradient(rule, blocks), [dMatrix, node.inputs[0]] + node.outputs, in: &builder)
    ]
  }

  func blockMap(
    _ map: BlockMap, _ dy: ValueID, in builder: inout GraphBuilder
  ) throws(KeelError) -> [ValueID?] {
    let operands = node.inputs[...map.matrixOperand]
    return try builder.append(
      .blockMapGradient(map, makesInput: true), [dy] + operands, label: node.label)
  }
}

extension GraphBuilder {
  /// Leaves the gradient of a block map's input to who adds more to it: the pass over dy and x that makes the
  /// map's other gradients then writes no dx, and another need not read it.
  /// - Returns: dy and the matrix; nil where the value is not such a gradient, of these blocks, or is taken.
  fileprivate mutating func takeBackInputGradient(
    _ dx: ValueID, _ blocks: ChannelBlocks
  ) -> (dy: ValueID, matrix: ValueID)? {
    guard let index = graph.nodes.lastIndex(where: { $0.outputs.first == dx }),
      case .blockMapGradient(let map, makesInput: true) = graph.nodes[index].primitive,
      map.blocks == blocks, !graph.nodes[index...].contains(where: { $0.inputs.contains(dx) })
    else { return nil }
    let node = graph.nodes[index]
    replaceNode(
      index, with: .blockMapGradient(map, makesInput: false),
      outputs: Array(node.outputs.dropFirst()))
    return (node.inputs[0], node.inputs[1 + map.matrixOperand])
  }
}
