public import KeelGraph
public import KeelTensor

extension Graph {
  /// The graph with the statistics of batch norms gathered by the convolutions before them, tile by tile,
  /// instead of by a pass of their own. For graphs of training with their gradients in place: these read
  /// the same moments.
  ///
  /// A depthwise convolution's results are not made in whole tiles and are left alone.
  /// - Throws: `KeelError` where the graph is not well formed.
  public func gatheringMoments() throws(KeelError) -> Graph {
    var editor = GraphEditor(self)
    for i in editor.nodes.indices {
      guard let node = editor.nodes[i], case .normalization(let normalization) = node.primitive,
        normalization.statistics == .current, normalization.partition == .batch,
        let producer = editor.producer(of: node.inputs[0]), let before = editor.nodes[producer],
        case .convolution(let geometry, let epilogue) = before.primitive, !geometry.isDepthwise,
        !isSingle(type(of: node.inputs[0]))
      else { continue }
      let given = try normalization.replacing(statistics: .moments, place: node.label)
      var inputs = node.inputs
      inputs.insert(node.outputs[1], at: NormalizationOperands(given).moments!)
      editor.nodes[i] = Node(
        primitive: .normalization(given), inputs: inputs, outputs: [node.outputs[0]],
        label: node.label)
      editor.nodes[producer] = Node(
        primitive: .convolutionWithMoments(geometry, epilogue), inputs: before.inputs,
        outputs: [before.outputs[0], node.outputs[1]], label: before.label)
    }
    return try editor.finish()
  }

  /// Whether channels may hold one value, which the norm that makes its own statistics refuses.
  private func isSingle(_ type: ValueType) -> Bool {
    type.extents.dropLast().allSatisfy { ($0.fixedValue ?? 1) <= 1 }
  }
}
