import KeelGraph
import KeelTensor

/// Sequences whose length is known: lists of values, which need no node.
extension GraphImporter {
  func sequence(_ node: ONNXNode, _ k: Int = 0) throws(KeelError) -> [ImportedValue] {
    guard case .sequence(let list) = try node.input(k) else {
      throw node.unsupported("a sequence", found: "another value")
    }
    return list
  }

  func sequenceConstruct(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    var list: [ImportedValue] = []
    for k in node.inputs.indices { list.append(try node.input(k)) }
    return [.sequence(list)]
  }

  func sequenceAt(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let list = try sequence(node)
    let position = try node.constant(1, "a position").integers(at: node.place)
    guard position.count == 1, (-list.count..<list.count).contains(position[0]) else {
      throw node.unsupported("a position in \(list.count) values", found: "\(position)")
    }
    return [list[position[0] < 0 ? position[0] + list.count : position[0]]]
  }

  func sequenceLength(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    [.constant(HostTensor(integers: [.fixed(try sequence(node).count)], []), name: nil)]
  }

  /// Parts of an axis: of one size, the last one smaller, or of the sizes of a list; without them, single
  /// elements.
  func splitToSequence(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let value = try node.input(0)
    let axis = try node.axis(try node.int("axis", 0), rank: extents(value).count)
    let keeps = try node.flag("keepdims", true) || node.optional(1) != nil
    guard let extent = extents(value)[axis].fixedValue else {
      throw node.unsupported(
        "a known extent on axis \(axis) (give it by name)", found: "\(extents(value)[axis])")
    }
    var sizes = [Int](repeating: 1, count: extent)
    if let split = try node.optionalConstant(1, "split") {
      sizes = try split.integers(at: node.place)
      if split.rank == 0, let size = sizes.first, size >= 1 {
        sizes = stride(from: 0, to: extent, by: size).map { min(size, extent - $0) }
      }
    }
    guard sizes.allSatisfy({ (1...max(extent, 1)).contains($0) }), sizes.reduce(0, +) == extent
    else {
      throw node.unsupported("parts of \(extent) elements", found: "\(sizes)")
    }
    var list: [ImportedValue] = []
    var start = 0
    for size in sizes {
      var part = try sliced(value, axis: axis, start: start, count: size, step: 1, node)
      if !keeps {
        var target = extents(part)
        target.remove(at: axis)
        part = .graph(try reshaped(try ordered(part, at: node.label), to: target, node.label))
      }
      list.append(part)
      start += size
    }
    return [.sequence(list)]
  }
}
