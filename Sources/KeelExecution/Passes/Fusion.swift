internal import KeelGraph
internal import KeelTensor

/// Moves residual adds and activations into the epilogue of the operation before them, where nothing
/// else takes that operation's result.
internal enum Fusion {
  /// - Parameter keepsGradients: whether the graph may be differentiated afterwards; then activations
  ///   whose gradient needs their argument stay, because an epilogue keeps no argument.
  static func run(
    _ editor: inout GraphEditor, _ report: inout FoldReport, keepsGradients: Bool
  ) {
    for i in editor.nodes.indices {
      guard let node = editor.nodes[i] else { continue }
      switch node.primitive {
      case .add where adds(node, editor): fuseAdd(node, at: i, &editor, &report)
      case .activation(let activation):
        if keepsGradients, activation.gradientOperand == .input {
          report.entries.append(kept(node, "its gradient needs its argument"))
        } else {
          fuse(activation, node, at: i, &editor, &report)
        }
      default: break
      }
    }
  }

  /// Whether the operands have one shape: an epilogue adds no broadcast residual.
  private static func adds(_ node: Node, _ editor: GraphEditor) -> Bool {
    editor.type(of: node.inputs[0]) == editor.type(of: node.inputs[1])
  }

  private static func fuse(
    _ activation: Activation, _ node: Node, at position: Int, _ editor: inout GraphEditor,
    _ report: inout FoldReport
  ) {
    guard let (producer, target) = host(of: node.inputs[0], editor),
      var epilogue = target.primitive.epilogue
    else {
      report.entries.append(kept(node, "the operation before it cannot take it in"))
      return
    }
    if case .normalization = target.primitive, activation != .relu {
      report.entries.append(kept(node, "\(target.primitive.name) takes in no activation but ReLU"))
      return
    }
    epilogue.activation = activation
    replace(producer, target, epilogue, node, adding: [], &editor)
    editor.nodes[position] = nil
    report.entries.append(fused(node, into: target))
  }

  private static func fuseAdd(
    _ node: Node, at position: Int, _ editor: inout GraphEditor, _ report: inout FoldReport
  ) {
    let hosts = [0, 1].compactMap { operand -> (operand: Int, producer: Int, target: Node)? in
      guard node.inputs[0] != node.inputs[1],
        let (producer, target) = host(of: node.inputs[operand], editor),
        let epilogue = target.primitive.epilogue, !epilogue.hasResidual,
        !leads(Array(target.outputs.dropFirst()), to: node.inputs[1 - operand], editor)
      else { return nil }
      return (operand, producer, target)
    }
    // Of two hosts the later one: the other's result is there by then.
    guard let host = hosts.max(by: { $0.producer < $1.producer }),
      var epilogue = host.target.primitive.epilogue
    else {
      report.entries.append(kept(node, "no operation before it can take it in"))
      return
    }
    epilogue.hasResidual = true
    replace(
      host.producer, host.target, epilogue, node, adding: [node.inputs[1 - host.operand]],
      &editor)
    editor.nodes[position] = nil
    report.entries.append(fused(node, into: host.target))
  }

  /// The operation that makes a value, where it has an epilogue without activation and nothing else
  /// takes the value.
  private static func host(of value: ValueID, _ editor: GraphEditor) -> (Int, Node)? {
    guard editor.soleConsumer(of: value) != nil, let producer = editor.producer(of: value),
      let node = editor.nodes[producer], node.outputs[0] == value,
      let epilogue = node.primitive.epilogue, epilogue.activation == nil
    else { return nil }
    return (producer, node)
  }

  /// Whether a value is made from one of the others: the moments of a batch norm may lead to the other
  /// operand of the add behind it, and the norm would wait for itself.
  private static func leads(_ values: [ValueID], to target: ValueID, _ editor: GraphEditor) -> Bool
  {
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

  private static func replace(
    _ producer: Int, _ target: Node, _ epilogue: Epilogue, _ node: Node, adding inputs: [ValueID],
    _ editor: inout GraphEditor
  ) {
    var changed = target
    changed.primitive = target.primitive.replacingEpilogue(epilogue)!
    changed.inputs += inputs
    changed.outputs[0] = node.outputs[0]
    editor.nodes[producer] = changed
  }

  private static func fused(_ node: Node, into target: Node) -> FoldReport.Entry {
    .init(
      operation: node.primitive.name, layer: node.label,
      target: "\(target.primitive.name) \(target.label)", outcome: .fused)
  }

  private static func kept(_ node: Node, _ reason: String) -> FoldReport.Entry {
    .init(
      operation: node.primitive.name, layer: node.label, target: nil,
      outcome: .kept(reason: reason))
  }
}
