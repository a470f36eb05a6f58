import KeelTensor

extension Graph {
  /// The graph for inference: norms that share statistics across samples use their running statistics
  /// instead of the batch's, dropout is gone, with the input of its seed, and updates are gone, with every
  /// node that only they needed. Norms within samples without running statistics stay as they are.
  ///
  /// A batch norm's running statistics are those that its moments update.
  /// - Throws: `KeelError` of kind `graph` for a batch norm whose moments update nothing, or feed
  ///   something else that stays, such as gradients: take the form first, then its gradient.
  public func inferenceForm() throws(KeelError) -> Graph {
    var running: [ValueID: [ValueID]] = [:]
    for node in nodes {
      if case .runningStatistics = node.primitive {
        running[node.inputs[0]] = [node.inputs[1], node.inputs[2]]
      }
    }
    var editor = GraphEditor(self)
    editor.updates = []
    for (i, node) in nodes.enumerated() {
      guard case .normalization(let normalization) = node.primitive,
        normalization.statistics == .current
      else { continue }
      guard let statistics = running[node.outputs[1]] else {
        if normalization.partition.isWithinSamples { continue }
        throw KeelError(
          .graph, at: node.label, expected: "running statistics that its moments update",
          found: "none")
      }
      let given = try normalization.replacing(statistics: .given, place: node.label)
      var inputs = node.inputs
      inputs.insert(contentsOf: statistics, at: NormalizationOperands(given).mean!)
      editor.nodes[i] = Node(
        primitive: .normalization(given), inputs: inputs, outputs: [node.outputs[0]],
        label: node.label)
    }
    editor.removeDropout()
    return try editor.finish()
  }

  /// The graph for training: batch norms with running statistics use those of the batch and update the
  /// running ones. Dropout that an inference form has lost does not come back.
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
