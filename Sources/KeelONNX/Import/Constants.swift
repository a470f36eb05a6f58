import KeelGraph
import KeelTensor

/// Operators that make constants, of attributes or of shapes.
extension GraphImporter {
  func constant(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    if let tensor = try node.tensor("value") {
      return [
        .constant(
          try HostTensor(decoding: tensor, outside: outside, at: node.place),
          name: nil)
      ]
    }
    if let value = try node.float("value_float") {
      return [.constant(HostTensor(Tensor(repeating: value, shape: [])), name: nil)]
    }
    if let list = try node.floats("value_floats") {
      return [.constant(HostTensor(try Tensor(list, shape: [list.count])), name: nil)]
    }
    if let value = try node.int("value_int") {
      return [.constant(HostTensor(integers: [.fixed(value)], []), name: nil)]
    }
    if let list = try node.ints("value_ints") {
      return [.constant(HostTensor(list: list), name: nil)]
    }
    throw node.unsupported("a value of numbers", found: "none")
  }

  func constantOfShape(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let extents = try node.constant(0, "a shape").integers(at: node.place)
    let most = max(0, options.computedElements)
    guard let proto = try node.tensor("value") else {
      _ = try HostTensor.checkedCount(extents, at: node.place, most: most)
      return [.constant(HostTensor(Tensor(zeros: Shape(extents))), name: nil)]
    }
    let value = try HostTensor(decoding: proto, outside: outside, at: node.place)
    guard value.count == 1 else {
      throw node.unsupported("a value of one element", found: "\(value.extents)")
    }
    if case .floats(let tensor) = value.elements {
      _ = try HostTensor.checkedCount(extents, at: node.place, most: most)
      let filled = Tensor(repeating: tensor[flat: 0], shape: Shape(extents))
      return [.constant(HostTensor(filled), name: nil)]
    }
    // Integers and truth values are for shapes and masks.
    let count = try HostTensor.checkedCount(
      extents, at: node.place, most: min(most, HostTensor.largestMade()))
    return [
      .constant(value.selecting([Int](repeating: 0, count: count), extents), name: nil)
    ]
  }

  /// The extents, some of which may stay open.
  func shape(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let extents = extents(try node.input(0))
    func position(_ name: String, _ otherwise: Int) throws(KeelError) -> Int {
      let stated = try node.int(name, otherwise)
      let counted = stated < 0 ? max(stated, -extents.count) + extents.count : stated
      return min(max(counted, 0), extents.count)
    }
    let start = try position("start", 0)
    let end = max(start, try position("end", extents.count))
    return [
      .constant(
        HostTensor(integers: Array(extents[start..<end]), [end - start]), name: nil)
    ]
  }

  func size(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let extents = extents(try node.input(0))
    let known = extents.compactMap(\.fixedValue)
    guard known.count == extents.count else {
      throw node.unsupported("known extents (give them by name)", found: "\(extents)")
    }
    return [.constant(HostTensor(integers: [.fixed(known.reduce(1, *))], []), name: nil)]
  }

  func range(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    var ends: [Int] = []
    for k in 0..<3 {
      ends += try node.constant(k, "a bound").integers(at: node.place)
    }
    guard ends.count == 3, ends[2] != 0,
      ends.allSatisfy({ (-1 << 40...1 << 40).contains($0) })
    else {
      throw node.unsupported("start, limit and a step other than 0", found: "\(ends)")
    }
    let list = stride(from: ends[0], to: ends[1], by: ends[2])
    let span = (ends[1] - ends[0]) / ends[2]
    _ = try HostTensor.checkedCount(
      [max(0, span)], at: node.place, most: HostTensor.largestMade())
    return [.constant(HostTensor(list: Array(list)), name: nil)]
  }
}
