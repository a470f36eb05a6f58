import KeelTensor

/// A graph under change: the one frame that passes are written in.
///
/// A pass changes nodes in place, adds and removes them in any order; `finish()` sorts them, leaves out
/// what leads nowhere, and checks every shape again.
public struct GraphEditor {
  /// The nodes; nil where one was removed.
  public var nodes: [Node?]
  /// Values that a run gives back.
  public var outputs: [Graph.Output]
  /// New values for weights.
  public var updates: [Graph.Update]
  private var graph: Graph
  private var weightPositions: [ValueID: Int]

  /// Starts to change a graph.
  public init(_ graph: Graph) {
    self.graph = graph
    nodes = graph.nodes
    outputs = graph.outputs
    updates = graph.updates
    weightPositions = Dictionary(
      uniqueKeysWithValues: graph.weights.enumerated().map { ($1.value, $0) })
  }

  /// The type of a value.
  public func type(of value: ValueID) -> ValueType { graph.types[value.index] }

  /// Adds a value, for a node to make.
  public mutating func addValue(_ type: ValueType) -> ValueID {
    graph.types.append(type)
    return ValueID(graph.types.count - 1)
  }

  /// Adds a weight; a name that is taken gets a number.
  public mutating func addWeight(
    _ name: String, _ tensor: Tensor, role: Graph.Weight.Role
  ) -> ValueID {
    let taken = Set(graph.weights.map(\.name))
    var free = name
    var number = 2
    while taken.contains(free) {
      free = "\(name).\(number)"
      number += 1
    }
    let value = addValue(ValueType(shape: tensor.shape))
    weightPositions[value] = graph.weights.count
    graph.weights.append(.init(name: free, value: value, tensor: tensor, role: role))
    return value
  }

  /// Gives a weight other contents, which may have another shape.
  /// - Precondition: the value is a weight.
  public mutating func replaceWeight(_ value: ValueID, with tensor: Tensor) {
    guard let position = weightPositions[value] else { preconditionFailure("not a weight") }
    graph.weights[position].tensor = tensor
    graph.types[value.index] = ValueType(shape: tensor.shape)
  }

  /// Takes away an input that nothing takes any more.
  public mutating func removeInput(_ value: ValueID) {
    graph.inputs.removeAll { $0.value == value }
  }

  /// The weight behind a value, if it is one.
  public func weight(_ value: ValueID) -> Graph.Weight? {
    weightPositions[value].map { graph.weights[$0] }
  }

  /// The position of the node that makes a value.
  public func producer(of value: ValueID) -> Int? {
    nodes.firstIndex { $0?.outputs.contains(value) ?? false }
  }

  /// The positions of the nodes that take a value, one for each operand.
  public func consumers(of value: ValueID) -> [Int] {
    nodes.indices.flatMap { i in
      nodes[i]?.inputs.compactMap { $0 == value ? i : nil } ?? []
    }
  }

  /// Whether a run gives a value back or stores it.
  public func isResult(_ value: ValueID) -> Bool {
    outputs.contains { $0.value == value } || updates.contains { $0.value == value }
  }

  /// The only node that takes a value, where there is just one and no run gives the value back.
  public func soleConsumer(of value: ValueID) -> Int? {
    let consumers = consumers(of: value)
    return consumers.count == 1 && !isResult(value) ? consumers[0] : nil
  }

  /// The changed graph: nodes in an order in which they can be run (as before, where that is possible),
  /// without nodes that lead to no result and weights that nothing takes.
  /// - Throws: `KeelError` of kind `graph` for nodes that wait for each other, and what
  ///   `GraphBuilder` throws.
  public func finish() throws(KeelError) -> Graph {
    let order = try sorted(liveNodes())
    var builder = GraphBuilder()
    var moved: [ValueID: ValueID] = [:]
    for input in graph.inputs {
      moved[input.value] = builder.input(input.name, type(of: input.value))
    }
    var used = Set(order.flatMap(\.inputs))
    used.formUnion(outputs.map(\.value) + updates.map(\.value))
    let updated = Set(updates.map(\.weight))
    for weight in graph.weights where used.contains(weight.value) || updated.contains(weight.name) {
      moved[weight.value] = builder.weight(weight.name, weight.tensor, role: weight.role)
    }
    for node in order {
      let results = try builder.append(
        node.primitive, node.inputs.map { moved[$0]! }, label: node.label)
      for (old, new) in zip(node.outputs, results) { moved[old] = new }
    }
    for output in outputs {
      builder.output(output.name, try find(output.value, moved, output.name))
    }
    for update in updates {
      builder.update(update.weight, try find(update.value, moved, update.weight))
    }
    return try builder.finish()
  }

  private func find(
    _ value: ValueID, _ moved: [ValueID: ValueID], _ name: String
  ) throws(KeelError) -> ValueID {
    guard let new = moved[value] else {
      throw KeelError(.graph, at: name, expected: "a node that makes it", found: "none")
    }
    return new
  }

  private func liveNodes() -> [Node] {
    var wanted = Set(outputs.map(\.value)).union(updates.map(\.value))
    var live: Set<Int> = []
    var producers: [ValueID: Int] = [:]
    for (i, node) in nodes.enumerated() {
      for value in node?.outputs ?? [] { producers[value] = i }
    }
    while let value = wanted.popFirst() {
      if let i = producers[value], live.insert(i).inserted { wanted.formUnion(nodes[i]!.inputs) }
    }
    return nodes.indices.compactMap { live.contains($0) ? nodes[$0] : nil }
  }

  /// Takes, again and again, the first node whose operands are all there.
  private func sorted(_ waiting: [Node]) throws(KeelError) -> [Node] {
    var known = Set(graph.inputs.map(\.value)).union(graph.weights.map(\.value))
    var result: [Node] = []
    var waiting = waiting
    while !waiting.isEmpty {
      var later: [Node] = []
      for node in waiting {
        if node.inputs.allSatisfy(known.contains) {
          known.formUnion(node.outputs)
          result.append(node)
        } else {
          later.append(node)
        }
      }
      guard later.count < waiting.count else {
        throw KeelError(
          .graph, at: later[0].label, expected: "nodes that can be put in order",
          found: "\(later.count) that wait for each other or for a missing value")
      }
      waiting = later
    }
    return result
  }
}
