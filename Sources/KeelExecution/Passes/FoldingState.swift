internal import KeelGraph
internal import KeelTensor

/// A graph while it is folded: the editor, the folded weights in Double, and what has been done.
///
/// Rules read weights through `numbers(_:)` and write them through `store(_:at:)`, so that a weight which
/// several rules change, one after the other, is rounded to Float once, from its value in Double.
internal struct FoldingState {
  /// The graph.
  var editor: GraphEditor
  /// How far to go.
  let extent: FoldExtent
  /// What reports call the operations.
  let names: OperationNames
  /// The weights that folding made, before they were rounded.
  private(set) var exact: [ValueID: DoubleTensor] = [:]
  private var entries: [(position: Int, entry: FoldReport.Entry)] = []

  init(_ graph: Graph, _ extent: FoldExtent) {
    editor = GraphEditor(graph)
    self.extent = extent
    names = OperationNames(editor.nodes)
  }

  // MARK: Report

  /// The kind and layer of the operation at a position, for reports.
  func name(_ position: Int) -> String { names.name(position, editor.nodes[position]!) }

  /// Notes what became of the operation at a position.
  mutating func note(
    _ position: Int, _ outcome: FoldReport.Outcome, into target: String? = nil,
    by detail: String? = nil
  ) {
    let node = editor.nodes[position]!
    let entry = FoldReport.Entry(
      operation: node.primitive.name, layer: names.layer(position, node), target: target,
      outcome: outcome, detail: detail)
    entries.append((position, entry))
  }

  /// What has been noted, in the graph's order.
  var sortedEntries: [FoldReport.Entry] {
    entries.enumerated().sorted {
      ($0.element.position, $0.offset) < ($1.element.position, $1.offset)
    }.map(\.element.entry)
  }

  // MARK: Weights

  /// The numbers of a weight in Double; nil for values that are not weights.
  func numbers(_ value: ValueID) -> DoubleTensor? {
    exact[value] ?? editor.weight(value).map { DoubleTensor(widening: $0.tensor) }
  }

  /// Whether the graph gives a weight a new value after each run, which would undo a fold or be lost in it.
  func isUpdated(_ value: ValueID) -> Bool {
    guard let name = editor.weight(value)?.name else { return false }
    return editor.updates.contains { $0.weight == name }
  }

  /// Adds a weight.
  mutating func addWeight(_ name: String, _ tensor: DoubleTensor, like other: ValueID) -> ValueID {
    let role = editor.weight(other)?.role ?? .trainable
    let value = editor.addWeight(name, Tensor(rounding: tensor), role: role)
    exact[value] = tensor
    return value
  }

  /// Puts a folded tensor in a weight's place, or beside it where another operation takes the weight too.
  mutating func put(_ tensor: DoubleTensor, over value: ValueID) -> ValueID {
    if editor.soleConsumer(of: value) != nil {
      editor.replaceWeight(value, with: Tensor(rounding: tensor))
      exact[value] = tensor
      return value
    }
    return addWeight("\(editor.weight(value)!.name).folded", tensor, like: value)
  }

  /// Gives an operation other weights; a bias that it had not is named after its weight.
  mutating func store(_ map: WeightedMap, at position: Int) {
    let old = editor.nodes[position]!
    var epilogue = old.primitive.epilogue!
    editor.nodes[position]!.inputs[1] = put(map.weight, over: old.inputs[1])
    guard let bias = map.bias else { return }
    if epilogue.hasBias {
      editor.nodes[position]!.inputs[2] = put(bias, over: old.inputs[2])
      return
    }
    epilogue.hasBias = true
    let name = editor.weight(old.inputs[1])!.name
    let layer = name.hasSuffix(".weight") ? String(name.dropLast(7)) : name
    let value = addWeight("\(layer).bias", bias, like: old.inputs[1])
    editor.nodes[position]!.inputs.insert(value, at: 2)
    editor.nodes[position]!.primitive = old.primitive.replacingEpilogue(epilogue)!
  }

  // MARK: Neighbours

  /// Whether nothing but one operation takes a value.
  func hasOneConsumer(_ value: ValueID) -> Bool { editor.soleConsumer(of: value) != nil }
}
