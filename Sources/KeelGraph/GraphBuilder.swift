import KeelTensor

/// Builds a graph node by node: what traces, importers, gradients and passes write with.
public struct GraphBuilder {
  /// What has been built so far.
  public private(set) var graph = Graph()

  /// Starts an empty graph.
  public init() {}

  /// Goes on with an existing graph.
  public init(_ graph: Graph) { self.graph = graph }

  private mutating func value(_ type: ValueType) -> ValueID {
    graph.types.append(type)
    return ValueID(graph.types.count - 1)
  }

  /// Adds a value that the caller gives.
  public mutating func input(_ name: String, _ type: ValueType) -> ValueID {
    let id = value(type)
    graph.inputs.append(.init(name: name, value: id))
    return id
  }

  /// Adds a tensor that belongs to the network.
  public mutating func weight(
    _ name: String, _ tensor: Tensor, role: Graph.Weight.Role = .trainable
  ) -> ValueID {
    let id = value(ValueType(shape: tensor.shape))
    graph.weights.append(.init(name: name, value: id, tensor: tensor, role: role))
    return id
  }

  /// Adds an operation and returns its results.
  /// - Throws: `KeelError` of kind `shape` where the operands do not fit, or of kind `graph` where one
  ///   is not a value of this graph.
  public mutating func append(
    _ primitive: Primitive, _ inputs: [ValueID], label: String = ""
  ) throws(KeelError) -> [ValueID] {
    let place = label.isEmpty ? primitive.name : label
    for input in inputs where !graph.types.indices.contains(input.index) {
      throw KeelError(.graph, at: place, expected: "values of this graph", found: "\(input.index)")
    }
    let types = try primitive.resultTypes(inputs.map { graph.types[$0.index] }, at: place)
    let outputs = types.map { value($0) }
    graph.nodes.append(.init(primitive: primitive, inputs: inputs, outputs: outputs, label: place))
    return outputs
  }

  /// Lets a node compute otherwise, or less: its operands stay, its results are some of those that it had.
  internal mutating func replaceNode(
    _ index: Int, with primitive: Primitive, outputs: [ValueID]
  ) {
    let node = graph.nodes[index]
    graph.nodes[index] = .init(
      primitive: primitive, inputs: node.inputs, outputs: outputs, label: node.label)
  }

  /// Names a value that each run gives back.
  public mutating func output(_ name: String, _ value: ValueID) {
    graph.outputs.append(.init(name: name, value: value))
  }

  /// Binds a value to a weight that takes it after a run.
  public mutating func update(_ weight: String, _ value: ValueID) {
    graph.updates.append(.init(weight: weight, value: value))
  }

  /// The finished graph, checked.
  /// - Throws: `KeelError` of kind `graph` for double names, outputs or updates of unknown values; of
  ///   kind `shape` for an update of another shape; of kind `value` for a running variance v with
  ///   v + ε ≤ 0 or not finite.
  public func finish() throws(KeelError) -> Graph {
    for (kind, names) in [
      ("input", graph.inputs.map(\.name)), ("weight", graph.weights.map(\.name)),
      ("output", graph.outputs.map(\.name)), ("update", graph.updates.map(\.weight)),
    ] {
      var seen: Set<String> = []
      for name in names where !seen.insert(name).inserted {
        throw KeelError(.graph, at: "\(kind) \(name)", expected: "a name of its own", found: "two")
      }
    }
    for (place, value) in graph.outputs.map({ ("output \($0.name)", $0.value) })
      + graph.updates.map({ ("update of \($0.weight)", $0.value) })
    where !graph.types.indices.contains(value.index) {
      throw KeelError(.graph, at: place, expected: "a value of this graph", found: "\(value.index)")
    }
    for update in graph.updates {
      guard let weight = graph.weight(named: update.weight) else {
        throw KeelError(
          .graph, at: "update of \(update.weight)", expected: "a weight of that name", found: "none"
        )
      }
      guard graph.type(of: weight.value) == graph.type(of: update.value) else {
        throw KeelError(
          .shape, at: "update of \(update.weight)", expected: "\(graph.type(of: weight.value))",
          found: "\(graph.type(of: update.value))")
      }
    }
    try graph.checkStatistics()
    return graph
  }
}

extension Graph {
  /// Refuses given statistics that would make NaN of every input: stored running variances are
  /// sometimes slightly negative.
  internal func checkStatistics() throws(KeelError) {
    let byValue = Dictionary(uniqueKeysWithValues: weights.map { ($0.value, $0) })
    for node in nodes {
      guard case .normalization(let normalization) = node.primitive else { continue }
      let at = NormalizationOperands(normalization)
      if let index = at.variance, let weight = byValue[node.inputs[index]] {
        for (channel, v) in weight.tensor.elements.enumerated()
        where !(v + normalization.epsilon > 0 && v.isFinite) {
          throw KeelError(
            .value, at: "\(node.label), \(weight.name)",
            expected: "finite running variances with variance + \(normalization.epsilon) > 0",
            found: "\(v) in channel \(channel)")
        }
      }
      if let index = at.mean, let weight = byValue[node.inputs[index]] {
        for (channel, m) in weight.tensor.elements.enumerated() where !m.isFinite {
          throw KeelError(
            .value, at: "\(node.label), \(weight.name)", expected: "finite running means",
            found: "\(m) in channel \(channel)")
        }
      }
    }
  }
}
