import KeelTensor

extension Graph {
  /// What a gradient is taken with respect to.
  public enum Differentiable: Hashable, Sendable {
    /// Every weight of role `trainable`.
    case trainableWeights
    /// Weights and inputs by name.
    case named([String])
  }

  /// The name of the output that holds the gradient of a weight or input.
  public static func gradientName(_ name: String) -> String { "gradient/" + name }

  /// Appends the gradient of a scalar output to the graph, in the same vocabulary.
  ///
  /// Reverse mode: each node's rule appends the nodes that compute the gradients of its operands from
  /// those of its results; gradients of a value with several consumers are added. Only what leads to
  /// the asked-for values is differentiated. The new outputs are named by `gradientName`; a value on
  /// which the loss does not depend gets zeros.
  ///
  /// - Parameters:
  ///   - loss: the name of a scalar output. Its gradient is 1.
  ///   - selection: what to differentiate with respect to.
  /// - Throws: `KeelError` of kind `graph` for unknown names, or a node on the way that has no gradient;
  ///   of kind `shape` where the output is not a scalar.
  public func differentiated(
    _ loss: String = "loss", withRespectTo selection: Differentiable = .trainableWeights
  ) throws(KeelError) -> Graph {
    let output = try output(named: loss)
    guard type(of: output.value) == ValueType([]) else {
      throw KeelError(
        .shape, at: "output \(loss)", expected: "float32 scalar",
        found: "\(type(of: output.value))")
    }
    return try differentiated(output.value, withRespectTo: selection) {
      (builder) throws(KeelError) in
      try builder.append(.fill(1, []), [], label: Graph.gradientName(loss))[0]
    }
  }

  /// Appends the product of a vector and the Jacobian of an output of any shape: the gradients that belong to
  /// a gradient of the output, which becomes a further input.
  ///
  /// - Parameters:
  ///   - name: the name of a float output.
  ///   - cotangent: the name of the new input, of that output's type.
  ///   - selection: what to differentiate with respect to.
  /// - Throws: as for a loss; of kind `graph` where there is an input of that name.
  public func differentiated(
    _ name: String, from cotangent: String, withRespectTo selection: Differentiable
  ) throws(KeelError) -> Graph {
    let output = try output(named: name)
    return try differentiated(output.value, withRespectTo: selection) { builder in
      builder.input(cotangent, type(of: output.value))
    }
  }

  private func differentiated(
    _ output: ValueID, withRespectTo selection: Differentiable,
    from first: (inout GraphBuilder) throws(KeelError) -> ValueID
  ) throws(KeelError) -> Graph {
    let targets = try differentiationTargets(selection)
    var needed = Set(targets.map(\.value))
    for node in nodes
    where node.primitive != .detachment && node.inputs.contains(where: needed.contains) {
      needed.formUnion(node.outputs)
    }
    var builder = GraphBuilder(self)
    var gradients = GradientTable()
    gradients[output] = try first(&builder)
    for node in nodes.reversed() where node.inputs.contains(where: needed.contains) {
      let results = node.outputs.map { gradients[$0] }
      guard results.contains(where: { $0 != nil }) else { continue }
      let rule = GradientRule(
        node: node, results: results, present: node.inputs.map { gradients[$0] },
        needed: node.inputs.map(needed.contains))
      for (input, gradient) in zip(node.inputs, try rule.append(to: &builder)) {
        guard let gradient else { continue }
        guard !rule.addsToPresent else {
          gradients[input] = gradient
          continue
        }
        try gradients.add(gradient, to: input, label: node.label, in: &builder)
      }
    }
    for (name, value) in targets {
      let gradient =
        if let known = gradients[value] { known } else {
          try builder.append(.fill(0, type(of: value).extents), [], label: name)[0]
        }
      builder.output(Graph.gradientName(name), gradient)
    }
    return try builder.finish()
  }

  private func differentiationTargets(_ selection: Differentiable) throws(KeelError)
    -> [(name: String, value: ValueID)]
  {
    switch selection {
    case .trainableWeights:
      return weights.filter { $0.role == .trainable }.map { ($0.name, $0.value) }
    case .named(let names):
      var result: [(name: String, value: ValueID)] = []
      for name in names {
        guard
          let value = weight(named: name)?.value ?? inputs.first(where: { $0.name == name })?.value
        else {
          throw KeelError(
            .graph, at: "gradient of \(name)", expected: "a weight or input of the graph",
            found: "none")
        }
        result.append((name, value))
      }
      return result
    }
  }
}

/// The gradient of each value so far.
private struct GradientTable {
  private var byValue: [ValueID: ValueID] = [:]

  subscript(value: ValueID) -> ValueID? {
    get { byValue[value] }
    set { byValue[value] = newValue }
  }

  mutating func add(
    _ gradient: ValueID, to value: ValueID, label: String, in builder: inout GraphBuilder
  ) throws(KeelError) {
    if let present = byValue[value] {
      byValue[value] = try builder.append(.add, [present, gradient], label: label)[0]
    } else {
      byValue[value] = gradient
    }
  }
}
