internal import KeelGraph
internal import KeelTensor

extension GraphEditor {
  /// Puts a copy (a reshape to the same extents) between weights that updates change and the outputs and
  /// updates that are those weights themselves: a weight's memory holds its new value once the run is
  /// over, and weights may take each other's place.
  internal mutating func keepChangingWeights() {
    let names = Set(updates.map(\.weight))
    var copies: [ValueID: ValueID] = [:]
    func copy(_ value: ValueID) -> ValueID {
      guard let weight = weight(value), names.contains(weight.name) else { return value }
      if let copy = copies[value] { return copy }
      let copy = addValue(type(of: value))
      nodes.append(
        Node(
          primitive: .reshape(type(of: value).extents), inputs: [value], outputs: [copy],
          label: weight.name))
      copies[value] = copy
      return copy
    }
    outputs = outputs.map { .init(name: $0.name, value: copy($0.value)) }
    updates = updates.map { .init(weight: $0.weight, value: copy($0.value)) }
  }

  /// Has everything that takes a value take another one of the same type.
  internal mutating func replaceUses(of value: ValueID, with other: ValueID) {
    for i in nodes.indices where nodes[i]?.inputs.contains(value) ?? false {
      nodes[i]!.inputs = nodes[i]!.inputs.map { $0 == value ? other : $0 }
    }
    outputs = outputs.map { $0.value == value ? .init(name: $0.name, value: other) : $0 }
    updates = updates.map { $0.value == value ? .init(weight: $0.weight, value: other) : $0 }
  }

  /// Adds an operation with one result at the end; `finish()` puts it in its place.
  internal mutating func append(
    _ primitive: Primitive, _ inputs: [ValueID], _ type: ValueType, label: String
  ) -> ValueID {
    let output = addValue(type)
    nodes.append(Node(primitive: primitive, inputs: inputs, outputs: [output], label: label))
    return output
  }

  /// Takes away an input of the graph that nothing takes any more.
  internal mutating func removeUnusedInput(_ value: ValueID) {
    if producer(of: value) == nil, weight(value) == nil, consumers(of: value).isEmpty,
      !isResult(value)
    {
      removeInput(value)
    }
  }
}
