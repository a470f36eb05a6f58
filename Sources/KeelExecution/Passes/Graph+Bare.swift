package import KeelGraph
package import KeelTensor

extension Graph {
  /// The graph without its activations and its normalizations by given statistics: what these cost is measured
  /// against it. It computes something else.
  /// - Throws: `KeelError` where the graph is not well formed.
  package func withoutNormsAndActivations() throws(KeelError) -> Graph {
    var editor = GraphEditor(self)
    for position in editor.nodes.indices {
      guard let node = editor.nodes[position] else { continue }
      switch node.primitive {
      case .activation: break
      case .normalization(let normalization)
      where normalization.statistics == .given && !normalization.epilogue.hasResidual: break
      default: continue
      }
      editor.nodes[position] = nil
      editor.replaceUses(of: node.outputs[0], with: node.inputs[0])
    }
    return try editor.finish()
  }
}
