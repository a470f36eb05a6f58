import KeelTensor

extension Graph {
  /// The graph for inference: batch norms that use the statistics of the batch use their running
  /// statistics instead, and updates are gone, with every node that only they needed.
  ///
  /// A batch norm's running statistics are those that its moments update.
  /// - Throws: `KeelError` of kind `graph` for a batch norm whose moments update nothing, or feed
  ///   something else that stays, such as gradients: take the form first, then its gradient.
  public func inferenceForm() throws(KeelError) -> Graph {
    var running: [ValueID: (mean: ValueID, variance: ValueID)] = [:]
    for node in nodes {
      if case .runningStatistics = node.primitive {
        running[node.inputs[0]] = (node.inputs[1], node.inputs[2])
      }
    }
    return try rewriting(keepsUpdates: false) { (node, inputs, rewriter) throws(KeelError) in
      guard case .normalization(var normalization) = node.primitive,
        normalization.statistics == .current
      else { return nil }
      guard let statistics = running[node.outputs[1]] else {
        throw KeelError(
          .graph, at: node.label, expected: "running statistics that its moments update",
          found: "none")
      }
      normalization.statistics = .given
      try rewriter.require([statistics.mean, statistics.variance], at: node.label)
      let values = [rewriter[statistics.mean], rewriter[statistics.variance]]
      let y = try rewriter.builder.append(
        .normalization(normalization), [inputs[0]] + values + inputs.dropFirst(),
        label: node.label)
      return [y[0], nil]
    }
  }

  /// The graph for training: batch norms with running statistics use those of the batch and update the
  /// running ones.
  ///
  /// - Parameters:
  ///   - momentum: the weight of the new value in the running statistics.
  ///   - frozen: labels of batch norms that stay as they are.
  /// - Throws: `KeelError` of kind `shape` where a batch norm would see one value per channel; of kind
  ///   `graph` for the gradient of a batch norm that changes: take the form first, then its gradient.
  public func trainingForm(momentum: Float = 0.1, frozen: Set<String> = []) throws(KeelError)
    -> Graph
  {
    let names = Dictionary(uniqueKeysWithValues: weights.map { ($0.value, $0.name) })
    return try rewriting(keepsUpdates: true) { (node, inputs, rewriter) throws(KeelError) in
      if case .normalizationGradient(let normalization) = node.primitive,
        normalization.statistics == .given, !frozen.contains(node.label),
        let mean = NormalizationGradientOperands(normalization).mean,
        names[node.inputs[mean]] != nil
      {
        throw KeelError(
          .graph, at: node.label, expected: "a graph without gradients (take them afterwards)",
          found: node.primitive.name)
      }
      guard case .normalization(var normalization) = node.primitive,
        normalization.statistics == .given, !frozen.contains(node.label),
        let mean = names[node.inputs[1]], let variance = names[node.inputs[2]]
      else { return nil }
      normalization.statistics = .current
      let outputs = try rewriter.builder.append(
        .normalization(normalization), [inputs[0]] + inputs.dropFirst(3), label: node.label)
      let updated = try rewriter.builder.append(
        .runningStatistics(momentum: momentum), [outputs[1], inputs[1], inputs[2]],
        label: node.label)
      rewriter.builder.update(mean, updated[0])
      rewriter.builder.update(variance, updated[1])
      return [outputs[0]]
    }
  }
}
