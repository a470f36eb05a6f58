import KeelTensor

/// A graph under rewriting: the new graph so far, and where the old values went.
public struct GraphRewriter {
  /// The new graph so far.
  public var builder = GraphBuilder()
  private var moved: [ValueID: ValueID] = [:]

  /// The new value of an old one.
  /// - Precondition: the old value has been rewritten already.
  public subscript(old: ValueID) -> ValueID {
    get {
      guard let new = moved[old] else {
        preconditionFailure("value \(old.index) was not rewritten")
      }
      return new
    }
    set { moved[old] = newValue }
  }

  /// Refuses old values that the rewriting dropped, or has not come to.
  internal func require(_ old: [ValueID], at place: String) throws(KeelError) {
    for value in old where moved[value] == nil {
      throw KeelError(
        .graph, at: place, expected: "values that the rewriting keeps",
        found: "value \(value.index), which it drops or has not come to")
    }
  }
}

extension Graph {
  /// Builds a graph node by node from this one: the frame that passes are written in.
  ///
  /// Nodes that lead to no output or kept update are left out, and so are weights that nothing takes.
  /// Operands of a replacement may only be values that came before.
  ///
  /// - Parameters:
  ///   - keepsUpdates: whether updates stay.
  ///   - replacingWeights: other contents for some weights, which may have another shape.
  ///   - replace: called for each node with its rewritten operands; returns the new values of its
  ///     results (nil for one that nothing takes any more), or nil to copy the node.
  /// - Throws: what `replace` throws, and what the new graph's checks throw; `KeelError` of kind `graph`
  ///   where something takes a result that `replace` gave no new value.
  public func rewriting(
    keepsUpdates: Bool = true, replacingWeights: [String: Tensor] = [:],
    _ replace: (Node, [ValueID], inout GraphRewriter) throws(KeelError) -> [ValueID?]?
  ) throws(KeelError) -> Graph {
    let live = liveNodes(keepsUpdates: keepsUpdates)
    var rewriter = GraphRewriter()
    for input in inputs {
      rewriter[input.value] = rewriter.builder.input(input.name, type(of: input.value))
    }
    for weight in weights {
      rewriter[weight.value] = rewriter.builder.weight(
        weight.name, replacingWeights[weight.name] ?? weight.tensor, role: weight.role)
    }
    for (node, isLive) in zip(nodes, live) where isLive {
      try rewriter.require(node.inputs, at: node.label)
      let operands = node.inputs.map { rewriter[$0] }
      let replaced = try replace(node, operands, &rewriter)
      let results: [ValueID?] =
        if let replaced { replaced } else {
          try rewriter.builder.append(node.primitive, operands, label: node.label)
        }
      for (old, new) in zip(node.outputs, results) { if let new { rewriter[old] = new } }
    }
    for output in outputs {
      try rewriter.require([output.value], at: "output \(output.name)")
      rewriter.builder.output(output.name, rewriter[output.value])
    }
    if keepsUpdates {
      for update in updates {
        try rewriter.require([update.value], at: "update of \(update.weight)")
        rewriter.builder.update(update.weight, rewriter[update.value])
      }
    }
    return try rewriter.builder.finish().droppingUnused()
  }

  private func liveNodes(keepsUpdates: Bool) -> [Bool] {
    var wanted = Set(outputs.map(\.value))
    if keepsUpdates { wanted.formUnion(updates.map(\.value)) }
    var live = [Bool](repeating: false, count: nodes.count)
    for i in nodes.indices.reversed() where nodes[i].outputs.contains(where: wanted.contains) {
      live[i] = true
      wanted.formUnion(nodes[i].inputs)
    }
    return live
  }

  /// Leaves out nodes that lead nowhere and weights that nothing takes.
  private func droppingUnused() -> Graph {
    var result = self
    let live = liveNodes(keepsUpdates: true)
    result.nodes = zip(nodes, live).filter(\.1).map(\.0)
    var used = Set(outputs.map(\.value) + updates.map(\.value))
    for node in result.nodes { used.formUnion(node.inputs) }
    let updated = Set(updates.map(\.weight))
    result.weights = weights.filter { used.contains($0.value) || updated.contains($0.name) }
    return result
  }
}
