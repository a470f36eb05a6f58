internal import KeelGraph
internal import KeelTensor

/// Removes operations that give back what they take: reshapes to the same extents, windows of one element,
/// clips without bounds, norms that were folded or initialized to nothing.
internal enum IdentityRemoval: FoldingRule {
  static func apply(at position: Int, _ state: inout FoldingState) throws(Refusal) -> Bool {
    guard let node = state.editor.nodes[position], node.outputs.count == 1,
      let input = node.inputs.first,
      state.editor.type(of: input) == state.editor.type(of: node.outputs[0]),
      isIdentity(node, at: position, state)
    else { return false }
    state.note(position, .removed)
    state.editor.nodes[position] = nil
    state.editor.replaceUses(of: node.outputs[0], with: input)
    return true
  }

  /// Whether an operation whose result has its operand's type gives the operand back.
  private static func isIdentity(_ node: Node, at position: Int, _ state: FoldingState) -> Bool {
    switch node.primitive {
    case .reshape: return true
    case .pooling(let geometry): return geometry.axes.allSatisfy(\.isPointwise)
    case .activation(.clip(let low, let high)): return low == -.infinity && high == .infinity
    case .activation(.leakyReLU(let slope)): return slope == 1
    case .normalization:
      guard let step = try? AffineStep(at: position, state) else { return false }
      return step.affine.isIdentity && step.epilogue.isEmpty
    default: return false
    }
  }
}
