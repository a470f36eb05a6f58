internal import KeelGraph
internal import KeelTensor

/// Moves residual adds and activations into the epilogue of the operation before them, where nothing
/// else takes that operation's result.
internal struct Fusion {
  /// The graph.
  private(set) var editor: GraphEditor
  /// What was done.
  private(set) var entries: [FoldReport.Entry] = []
  private let names: OperationNames
  private let keepsGradients: Bool

  /// - Parameters:
  ///   - names: what the report calls the operations.
  ///   - keepsGradients: whether the graph may be differentiated afterwards; then activations whose
  ///     gradient needs their argument stay, because an epilogue keeps no argument.
  init(_ editor: GraphEditor, names: OperationNames, keepsGradients: Bool) {
    self.editor = editor
    self.names = names
    self.keepsGradients = keepsGradients
  }

  /// Fuses what can be fused.
  mutating func run() {
    for i in editor.nodes.indices { joinGate(at: i) }
    for i in editor.nodes.indices {
      guard let node = editor.nodes[i] else { continue }
      switch node.primitive {
      case .add where adds(node): fuseAdd(node, at: i)
      case .activation(let activation):
        if keepsGradients, activation.gradientOperand == .input {
          keep(node, at: i, "its gradient needs its argument")
        } else {
          fuse(activation, node, at: i)
        }
      default: break
      }
    }
  }

  /// Takes x·σ(x) for SiLU, and x times its hard sigmoid for hard swish: one pass instead of two.
  private mutating func joinGate(at position: Int) {
    guard let node = editor.nodes[position], node.primitive == .arithmetic(.multiply) else {
      return
    }
    for (x, gate) in [(0, 1), (1, 0)].map({ (node.inputs[$0], node.inputs[$1]) }) {
      guard let producer = editor.producer(of: gate), let before = editor.nodes[producer],
        before.inputs == [x], editor.soleConsumer(of: gate) != nil
      else { continue }
      let joined: Activation
      switch before.primitive {
      case .activation(.sigmoid): joined = .silu
      case .activation(.hardSigmoid): joined = .hardSwish
      default: continue
      }
      note(before, at: producer, .fused, into: names.name(position, node))
      editor.nodes[position] = Node(
        primitive: .activation(joined), inputs: [x], outputs: node.outputs, label: node.label)
      editor.nodes[producer] = nil
      return
    }
  }

  /// Whether the operands have one shape: an epilogue adds no broadcast residual.
  private func adds(_ node: Node) -> Bool {
    editor.type(of: node.inputs[0]) == editor.type(of: node.inputs[1])
  }

  private mutating func fuse(_ activation: Activation, _ node: Node, at position: Int) {
    guard let (producer, target) = host(of: node.inputs[0]),
      var epilogue = target.primitive.epilogue
    else { return keep(node, at: position, "the operation before it cannot take it in") }
    if case .normalization = target.primitive, activation != .relu {
      return keep(node, at: position, "\(target.primitive.name) takes in no activation but ReLU")
    }
    epilogue.activation = activation
    fuse(node, at: position, into: producer, target, epilogue, adding: [])
  }

  private mutating func fuseAdd(_ node: Node, at position: Int) {
    let hosts = [0, 1].compactMap { operand -> (operand: Int, producer: Int, target: Node)? in
      guard node.inputs[0] != node.inputs[1],
        let (producer, target) = host(of: node.inputs[operand]),
        let epilogue = target.primitive.epilogue, !epilogue.hasResidual,
        !leads(Array(target.outputs.dropFirst()), to: node.inputs[1 - operand])
      else { return nil }
      return (operand, producer, target)
    }
    // Of two hosts the later one: the other's result is there by then.
    guard let host = hosts.max(by: { $0.producer < $1.producer }),
      var epilogue = host.target.primitive.epilogue
    else { return keep(node, at: position, "no operation before it can take it in") }
    epilogue.hasResidual = true
    fuse(
      node, at: position, into: host.producer, host.target, epilogue,
      adding: [node.inputs[1 - host.operand]])
  }

  /// The operation that makes a value, where it has an epilogue without activation and nothing else
  /// takes the value.
  private func host(of value: ValueID) -> (Int, Node)? {
    guard editor.soleConsumer(of: value) != nil, let producer = editor.producer(of: value),
      let node = editor.nodes[producer], node.outputs[0] == value,
      let epilogue = node.primitive.epilogue, epilogue.activation == nil
    else { return nil }
    return (producer, node)
  }

  /// Whether a value is made from one of the others: the moments of a batch norm may lead to the other
  /// operand of the add behind it, and the norm would wait for itself.
  private func leads(_ values: [ValueID], to target: ValueID) -> Bool {
    var waiting = values
    var seen = Set(values)
    while let value = waiting.popLast() {
      if value == target { return true }
      for consumer in editor.consumers(of: value) {
        for output in editor.nodes[consumer]!.outputs where seen.insert(output).inserted {
          waiting.append(output)
        }
      }
    }
    return false
  }

  private mutating func fuse(
    _ node: Node, at position: Int, into producer: Int, _ target: Node, _ epilogue: Epilogue,
    adding inputs: [ValueID]
  ) {
    note(node, at: position, .fused, into: names.name(producer, target))
    var changed = target
    changed.primitive = target.primitive.replacingEpilogue(epilogue)!
    changed.inputs += inputs
    changed.outputs[0] = node.outputs[0]
    editor.nodes[producer] = changed
    editor.nodes[position] = nil
  }

  private mutating func keep(_ node: Node, at position: Int, _ reason: String) {
    note(node, at: position, .kept(reason: reason))
  }

  private mutating func note(
    _ node: Node, at position: Int, _ outcome: FoldReport.Outcome, into target: String? = nil
  ) {
    entries.append(
      .init(
        operation: node.primitive.name, layer: names.layer(position, node), target: target,
        outcome: outcome))
  }
}
