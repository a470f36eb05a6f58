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
}
