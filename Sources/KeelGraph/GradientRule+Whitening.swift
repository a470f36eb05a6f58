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
    let residual = [present[0]].compactMap { $0 }
    return [
      try one(
        .comomentsGradient(blocks, hasResidual: !residual.isEmpty),
        [dTable, node.inputs[0], node.outputs[0]] + residual, in: &builder)
    ]
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
    return try builder.append(.blockMapGradient(map), [dy] + operands, label: node.label)
  }
}
