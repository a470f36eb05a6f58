import KeelGraph
import KeelTensor

extension Graph {
  /// The graph with a layer in place of an operation, such as a new classifier on an imported network.
  ///
  /// The layer takes what the operation took first, and what took the operation's result takes the layer's. Weights
  /// that nothing takes any more go. The layer is recorded for inference.
  /// - Parameters:
  ///   - label: the operation's label, the path of the layer that it came from or its name in a file.
  ///   - layer: what stands there instead.
  ///   - name: what the layer's weights are called after, `name.weight` for example.
  /// - Throws: `KeelError` of kind `graph` for a label that no operation or more than one has, a name that weights of
  ///   the graph have, and an operation without operands; what the layer meets; and of kind `shape` where what comes
  ///   behind cannot take its result.
  public func replacing(
    _ label: String, by layer: some Layer, name: String
  ) throws(KeelError) -> Graph {
    let positions = nodes.indices.filter { nodes[$0].label == label }
    guard let position = positions.first, positions.count == 1, let x = nodes[position].inputs.first
    else {
      throw KeelError(
        .graph, at: label, expected: "the label of one operation with operands",
        found: "\(positions.count) operations of that label")
    }
    if let weight = weights.first(where: { $0.name.hasPrefix("\(name).") }) {
      throw KeelError(
        .graph, at: name, expected: "a name that no weight begins with", found: weight.name)
    }
    let part = try Graph(tracing: layer, input: type(of: x).extents)
    var editor = GraphEditor(self)
    var values: [ValueID: ValueID] = [part.inputs[0].value: x]
    for weight in part.weights {
      values[weight.value] = editor.addWeight(
        "\(name).\(weight.name)", weight.tensor, role: weight.role)
    }
    for node in part.nodes {
      for output in node.outputs { values[output] = editor.addValue(part.type(of: output)) }
      editor.nodes.append(
        Node(
          primitive: node.primitive, inputs: node.inputs.map { values[$0]! },
          outputs: node.outputs.map { values[$0]! }, label: name))
    }
    let (old, new) = (nodes[position].outputs[0], values[part.outputs[0].value]!)
    editor.nodes[position] = nil
    for i in nodes.indices where i != position {
      editor.nodes[i]!.inputs = nodes[i].inputs.map { $0 == old ? new : $0 }
    }
    editor.outputs = outputs.map { output in
      output.value == old ? Graph.Output(name: output.name, value: new) : output
    }
    return try editor.finish()
  }
}
