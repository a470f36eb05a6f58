internal import KeelGraph
internal import KeelTensor

/// What reports call the operations of a graph: by their layer, and where several of one kind have the same
/// layer (a layer called twice, unlabelled operations) by their number among these.
internal struct OperationNames {
  private var numbers: [Int: String] = [:]

  /// Takes in the operations as they are before any pass.
  init(_ nodes: [Node?]) {
    var positions: [String: [Int]] = [:]
    for (i, node) in nodes.enumerated() {
      guard let node else { continue }
      positions["\(Self.kind(node.primitive)) \(node.label)", default: []].append(i)
    }
    for same in positions.values where same.count > 1 {
      for (n, i) in same.enumerated() { numbers[i] = " (\(n + 1) of \(same.count))" }
    }
  }

  /// The layer of the operation at a position.
  func layer(_ position: Int, _ node: Node) -> String { node.label + (numbers[position] ?? "") }

  /// The kind and layer of the operation at a position, each once.
  func name(_ position: Int, _ node: Node) -> String {
    let layer = layer(position, node)
    return node.label.hasPrefix(node.primitive.name) ? layer : "\(node.primitive.name) \(layer)"
  }

  /// The kind without what has been fused into it.
  private static func kind(_ primitive: Primitive) -> String {
    (primitive.replacingEpilogue(Epilogue()) ?? primitive).name
  }
}
