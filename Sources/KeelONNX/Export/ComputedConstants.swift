import KeelExecution
import KeelGraph
import KeelTensor

/// What of a graph depends on weights alone, computed before the rest is written: whitening matrices of running
/// statistics, weights by their spectral norm. Fills, and mere views of a weight, are left to the model.
struct ComputedConstants {
  /// Positions of the nodes that need not be written.
  private(set) var nodes: Set<Int> = []
  /// The elements of what other nodes take of them, by value.
  private(set) var tensors: [ValueID: Tensor] = [:]

  init(_ graph: Graph) throws(KeelError) {
    var known = Set(graph.weights.map(\.value))
    var constant: Set<Int> = []
    for (i, node) in graph.nodes.enumerated() where node.inputs.allSatisfy(known.contains) {
      let types = node.outputs.map(graph.type(of:))
      let isKnown = types.allSatisfy { type in
        type.elementType == .float32 && type.extents.allSatisfy { $0.fixedValue != nil }
      }
      guard isKnown else { continue }
      known.formUnion(node.outputs)
      constant.insert(i)
      switch node.primitive {
      case .reshape, .transpose, .detachment, .fill: continue
      default: nodes.insert(i)
      }
    }
    guard !nodes.isEmpty else { return }
    let made = Set(nodes.flatMap { graph.nodes[$0].outputs })
    var taken = Set(graph.outputs.map(\.value))
    for (i, node) in graph.nodes.enumerated() where !nodes.contains(i) {
      taken.formUnion(node.inputs)
    }
    var editor = GraphEditor(graph)
    for i in editor.nodes.indices where !constant.contains(i) { editor.nodes[i] = nil }
    for input in graph.inputs { editor.removeInput(input.value) }
    editor.outputs = []
    var values: [String: ValueID] = [:]
    for value in made.intersection(taken).sorted(by: { $0.index < $1.index }) {
      values["\(value.index)"] = value
      editor.outputs.append(.init(name: "\(value.index)", value: value))
    }
    let results = try Interpreter(editor.finish()).run([:]).outputs
    for (name, result) in results { tensors[values[name]!] = try result.floats(at: name) }
  }
}
