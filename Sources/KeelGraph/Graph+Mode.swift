import KeelTensor

extension Graph {
  /// The graph for inference: norms whose statistics running ones follow use those instead, dropout is gone,
  /// with the input of its seed, and updates are gone, with every node that only they needed. State that
  /// anything else updates (a power iteration's vectors) stands still. Norms without running statistics stay
  /// as they are.
  ///
  /// A norm's running statistics are those that its moments update, directly or on the way through merging,
  /// averaging and arithmetic on tables. Where moments are mixed with others, the running ones take their
  /// place in the mixture.
  /// - Throws: `KeelError` of kind `graph` for a norm whose moments feed something else that stays, such as
  ///   gradients: take the form first, then its gradient.
  public func inferenceForm() throws(KeelError) -> Graph {
    var form = InferenceForm(self)
    try form.useRunningStatistics()
    form.editor.removeDropout()
    return try form.editor.finish()
  }

  /// The graph for training: norms by a running mean and variance use those of the batch and update the
  /// running ones. What an inference form has lost does not come back: dropout, the steps of a power
  /// iteration, and that running statistics followed samples, shards or mixtures. Trace such a model for
  /// training.
  ///
  /// - Parameters:
  ///   - momentum: the weight of the new value in the running statistics.
  ///   - frozen: labels of batch norms that stay as they are.
  /// - Throws: `KeelError` of kind `shape` where a batch norm would see one value per channel; of kind
  ///   `graph` for the gradient of a batch norm that changes: take the form first, then its gradient.
  public func trainingForm(momentum: Float = 0.1, frozen: Set<String> = []) throws(KeelError)
    -> Graph
  {
    var editor = GraphEditor(self)
    for node in nodes {
      if case .normalizationGradient(let normalization) = node.primitive,
        normalization.statistics == .given, !frozen.contains(node.label),
        let mean = NormalizationGradientOperands(normalization).mean,
        editor.weight(node.inputs[mean]) != nil
      {
        throw KeelError(
          .graph, at: node.label, expected: "a graph without gradients (take them afterwards)",
          found: node.primitive.name)
      }
    }
    // From the last on, so that nodes put in leave the positions of those before them alone.
    for (i, node) in nodes.enumerated().reversed() {
      guard case .normalization(let given) = node.primitive, given.statistics == .given,
        !frozen.contains(node.label)
      else { continue }
      let at = NormalizationOperands(given)
      guard let mean = editor.weight(node.inputs[at.mean!]),
        let variance = editor.weight(node.inputs[at.variance!])
      else { continue }
      let current = try given.replacing(statistics: .current, place: node.label)
      let cells = type(of: mean.value)
      let moments = editor.addValue(ValueType([.fixed(MomentsLayout.rows)] + cells.extents))
      let newMean = editor.addValue(cells)
      let newVariance = editor.addValue(cells)
      var inputs = node.inputs
      inputs.removeSubrange(at.mean!...at.variance!)
      editor.nodes[i] = Node(
        primitive: .normalization(current), inputs: inputs, outputs: [node.outputs[0], moments],
        label: node.label)
      editor.nodes.insert(
        Node(
          primitive: .runningStatistics(.momentum(momentum)),
          inputs: [moments, mean.value, variance.value], outputs: [newMean, newVariance],
          label: node.label), at: i + 1)
      editor.updates.insert(.init(weight: variance.name, value: newVariance), at: 0)
      editor.updates.insert(.init(weight: mean.name, value: newMean), at: 0)
    }
    return try editor.finish()
  }
}
