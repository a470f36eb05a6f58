internal import KeelGraph
internal import KeelTensor

/// Removes operations that give back what they take: reshapes to the same extents, detachments, windows of
/// one element, clips without bounds, products with 1, dropout of probability 0 (any other goes with
/// `Graph.inferenceForm`), norms initialized to nothing.
internal enum IdentityRemoval: FoldingRule {
  static func apply(at position: Int, _ state: inout FoldingState) throws(Refusal) -> Bool {
    guard let node = state.editor.nodes[position], node.outputs.count == 1,
      let input = operand(of: node, at: position, state),
      state.editor.type(of: input) == state.editor.type(of: node.outputs[0])
    else { return false }
    state.note(position, .removed)
    state.editor.nodes[position] = nil
    state.editor.replaceUses(of: node.outputs[0], with: input)
    if case .dropout = node.primitive { state.editor.removeUnusedInput(node.inputs[1]) }
    return true
  }

  /// What an operation gives back, where the types are the same; nil where it changes it.
  private static func operand(of node: Node, at position: Int, _ state: FoldingState) -> ValueID? {
    let isIdentity: Bool
    switch node.primitive {
    case .reshape, .detachment, .expand(_, divides: false): isIdentity = true
    case .transpose(let permutation): isIdentity = permutation == Array(permutation.indices)
    case .pooling(let geometry):
      isIdentity =
        geometry.kind != .l2 && geometry.axes.allSatisfy { $0.window?.isPointwise ?? false }
    case .activation(.clip(let low, let high)):
      isIdentity = low == -.infinity && high == .infinity
    case .activation(.leakyReLU(let slope)): isIdentity = slope == 1
    case .movement(let movement): isIdentity = movement.axes.allSatisfy { $0 == .whole }
    // Where the type stays, every axis that goes has one element.
    case .reduction(let reduction):
      isIdentity = [.sum, .mean, .maximum, .minimum].contains(reduction.kind)
    case .dropout(let mask): isIdentity = mask.probability == 0
    case .normalization, .arithmetic:
      guard let step = try? AffineStep(at: position, state), step.affine.isIdentity,
        step.epilogue.isEmpty
      else { return nil }
      return step.input
    default: isIdentity = false
    }
    return isIdentity ? node.inputs.first : nil
  }
}
