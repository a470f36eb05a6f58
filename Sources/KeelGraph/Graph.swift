import KeelTensor

/// The name of a value within one graph.
public struct ValueID: Hashable, Sendable {
  /// The position in `Graph.types`.
  public let index: Int

  package init(_ index: Int) { self.index = index }
}

/// One operation of a graph.
public struct Node: Hashable, Sendable {
  /// What is done.
  public var primitive: Primitive
  /// The operands, in the primitive's order.
  public var inputs: [ValueID]
  /// The results, in the primitive's order.
  public var outputs: [ValueID]
  /// The path of the layer that the node comes from.
  public var label: String

  /// Makes a node, for a `GraphEditor`, which checks it when it finishes.
  public init(primitive: Primitive, inputs: [ValueID], outputs: [ValueID], label: String) {
    self.primitive = primitive
    self.inputs = inputs
    self.outputs = outputs
    self.label = label
  }
}

/// A network as values and operations: no value is written twice, no node has a side effect.
///
/// Layers trace to it, importers build it with `GraphBuilder`, gradients and folding are transforms of
/// it, and the interpreter, plans and the Double reference run it. Nodes stand in an order in which
/// each comes after the nodes whose results it takes. Tensors of weights are snapshots.
public struct Graph: Sendable {
  /// A value that the caller gives at each run.
  public struct Input: Hashable, Sendable {
    /// The name.
    public let name: String
    /// The value.
    public let value: ValueID
  }

  /// A named tensor that belongs to the network.
  public struct Weight: Sendable {
    /// What the tensor is for.
    public enum Role: Hashable, Sendable {
      /// An optimizer changes it by its gradient.
      case trainable
      /// Only the network's own updates change it, such as running statistics.
      case state
    }
    /// The path, such as `stage1.0.conv1.weight`.
    public let name: String
    /// The value.
    public let value: ValueID
    /// The contents.
    public var tensor: Tensor
    /// What it is for.
    public let role: Role
  }

  /// A value that each run gives back.
  public struct Output: Hashable, Sendable {
    /// The name.
    public let name: String
    /// The value.
    public let value: ValueID

    package init(name: String, value: ValueID) {
      self.name = name
      self.value = value
    }
  }

  /// A new value for a weight, to be taken after a run.
  public struct Update: Hashable, Sendable {
    /// The weight's name.
    public let weight: String
    /// The new value.
    public let value: ValueID

    package init(weight: String, value: ValueID) {
      self.weight = weight
      self.value = value
    }
  }

  /// The type of every value, by `ValueID.index`.
  public internal(set) var types: [ValueType] = []
  /// What the caller gives.
  public internal(set) var inputs: [Input] = []
  /// The network's own tensors.
  public internal(set) var weights: [Weight] = []
  /// The operations, in an order in which they can be run.
  public internal(set) var nodes: [Node] = []
  /// What a run gives back.
  public internal(set) var outputs: [Output] = []
  /// New values for weights.
  public internal(set) var updates: [Update] = []

  internal init() {}

  /// The type of a value.
  public func type(of value: ValueID) -> ValueType { types[value.index] }

  /// The weight of a name.
  public func weight(named name: String) -> Weight? { weights.first { $0.name == name } }

  /// The output of a name.
  /// - Throws: `KeelError` of kind `graph` where there is none.
  public func output(named name: String) throws(KeelError) -> Output {
    guard let output = outputs.first(where: { $0.name == name }) else {
      throw KeelError(
        .graph, at: "output \(name)", expected: "one of \(outputs.map(\.name))", found: "none")
    }
    return output
  }

  /// Values for the open extents, from the shapes of the inputs.
  /// - Throws: `KeelError` of kind `graph` for a missing or unknown input, of kind `shape` for extents
  ///   that do not fit or an empty batch.
  public func bindSymbols(inputShapes: [String: Shape]) throws(KeelError) -> [String: Int] {
    let names = Set(inputs.map(\.name))
    for name in inputShapes.keys.sorted() where !names.contains(name) {
      throw KeelError(
        .graph, at: "input \(name)", expected: "one of \(names.sorted())", found: name)
    }
    var symbols: [String: Int] = [:]
    for input in inputs {
      let type = types[input.value.index]
      guard let shape = inputShapes[input.name] else {
        throw KeelError(.graph, at: "input \(input.name)", expected: "\(type)", found: "no value")
      }
      var fits = shape.rank == type.rank
      for (extent, size) in zip(type.extents, shape.extents) {
        fits = fits && size > 0
        switch extent {
        case .fixed(let value): fits = fits && value == size
        case .symbol(let name):
          fits = fits && symbols[name, default: size] == size
          symbols[name] = size
        }
      }
      guard fits else {
        throw KeelError(
          .shape, at: "input \(input.name)", expected: "\(type), no extent 0", found: "\(shape)")
      }
    }
    return symbols
  }

  /// For each value, the number of nodes, outputs and updates that take it (a node that takes it twice
  /// counts twice).
  public func consumerCounts() -> [Int] {
    var counts = [Int](repeating: 0, count: types.count)
    for node in nodes { for input in node.inputs { counts[input.index] += 1 } }
    for output in outputs { counts[output.value.index] += 1 }
    for update in updates { counts[update.value.index] += 1 }
    return counts
  }

  /// The same graph without its weights' contents: their values are left, with their types.
  package func droppingWeights() -> Graph {
    var result = self
    result.weights = []
    return result
  }

  /// The same graph with other contents for some weights.
  /// - Throws: `KeelError` of kind `graph` for an unknown name, of kind `shape` for another shape.
  public func replacingWeights(_ tensors: [String: Tensor]) throws(KeelError) -> Graph {
    var result = self
    let positions = Dictionary(uniqueKeysWithValues: weights.enumerated().map { ($1.name, $0) })
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      guard let position = positions[name] else {
        throw KeelError(
          .graph, at: "weight \(name)", expected: "a weight of the graph", found: "none")
      }
      guard weights[position].tensor.shape == tensor.shape else {
        throw KeelError(
          .shape, at: "weight \(name)", expected: "\(weights[position].tensor.shape)",
          found: "\(tensor.shape)")
      }
      result.weights[position].tensor = tensor
    }
    try result.checkStatistics()
    return result
  }
}
