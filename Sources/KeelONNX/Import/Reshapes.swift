import KeelGraph
import KeelTensor

/// Reshape, Flatten, Squeeze, Unsqueeze and Transpose.
extension GraphImporter {
  /// A value under other extents. Runs of axes that become each other keep their place in the order, so that
  /// a transpose is made only where a run's own axes do not stand one after another.
  func reshaped(_ x: OrderedValue, to extents: [Extent], _ label: String) throws(KeelError)
    -> OrderedValue
  {
    let old = self.extents(x)
    var groups = AxisGroup.matching(old, extents)
    let positions = x.order.indices.filter { old[x.order[$0]] != 1 }
    func first(_ group: AxisGroup) -> Int {
      positions.first { group.old.contains(x.order[$0]) } ?? (group.old.isEmpty ? Int.max : -1)
    }
    groups.sort { first($0) < first($1) }
    let source = try stored(x, groups.flatMap(\.old), label: label)
    let order = groups.flatMap(\.new)
    return OrderedValue(try reshape(source, order.map { extents[$0] }, label), order: order)
  }

  func reshape(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let keepsZeros = try node.flag("allowzero")
    let stated = try node.constant(1, "a shape").extentList(at: node.place)
    let value = try node.input(0)
    let target = try resolved(stated, extents(value), keepsZeros: keepsZeros, node)
    if case .constant(let tensor, let name) = value {
      let known = target.compactMap(\.fixedValue)
      guard known.count == target.count, known.reduce(1, *) == tensor.count else {
        throw node.unsupported("\(tensor.count) elements", found: "\(target)")
      }
      return [
        .constant(tensor.reshaped(known), name: known == tensor.extents ? name : nil)
      ]
    }
    return [.graph(try reshaped(try ordered(node), to: target, node.label))]
  }

  /// Extents with 0 for an axis as it is and −1 for what is left over.
  private func resolved(
    _ stated: [Extent], _ old: [Extent], keepsZeros: Bool, _ node: ONNXNode
  ) throws(KeelError) -> [Extent] {
    var result = stated
    if !keepsZeros {
      for (axis, extent) in stated.enumerated() where extent == 0 {
        guard axis < old.count else {
          throw node.unsupported("an axis \(axis) to copy", found: "\(old)")
        }
        result[axis] = old[axis]
      }
    }
    let open = result.indices.filter { result[$0] == -1 }
    guard open.count <= 1, result.allSatisfy({ ($0.fixedValue ?? 0) >= -1 }) else {
      throw node.unsupported("extents of which one is −1", found: "\(stated)")
    }
    func product(_ extents: [Extent]) throws(KeelError) -> (Int, [Extent]) {
      let known = extents.compactMap(\.fixedValue)
      return (
        try HostTensor.checkedCount(known, at: node.place),
        extents.filter { $0.fixedValue == nil }
      )
    }
    guard let axis = open.first else {
      _ = try product(result)
      return result
    }
    let (count, symbols) = try product(old)
    let (used, taken) = try product(result.enumerated().filter { $0.offset != axis }.map(\.element))
    var rest = symbols
    for symbol in taken {
      guard let position = rest.firstIndex(of: symbol) else {
        throw node.unsupported("extents of \(old)", found: "\(stated)")
      }
      rest.remove(at: position)
    }
    guard used > 0, count % used == 0, rest.isEmpty || (rest.count == 1 && count == used) else {
      throw node.unsupported(
        "one extent for what is left of \(old) (give open extents by name)", found: "\(stated)")
    }
    result[axis] = rest.first ?? .fixed(count / used)
    return result
  }

  func flatten(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let x = try ordered(node)
    let extents = extents(x)
    let stated = try node.int("axis", 1)
    guard (-extents.count...extents.count).contains(stated) else {
      throw node.unsupported("an axis of \(extents.count)", found: "\(stated)")
    }
    let axis = stated < 0 ? stated + extents.count : stated
    func joined(_ part: [Extent]) throws(KeelError) -> Extent {
      let known = part.compactMap(\.fixedValue)
      if known.count == part.count { return .fixed(known.reduce(1, *)) }
      guard part.count == known.count + 1, known.allSatisfy({ $0 == 1 }),
        let symbol = part.first(where: { $0.fixedValue == nil })
      else {
        throw node.unsupported("an open extent by itself (give it by name)", found: "\(part)")
      }
      return symbol
    }
    let target = [
      try joined(Array(extents.prefix(axis))), try joined(Array(extents.dropFirst(axis))),
    ]
    return [.graph(try reshaped(x, to: target, node.label))]
  }

  /// The axes of Squeeze and Unsqueeze: an attribute up to version 12 of the operators, an operand later.
  private func stated(_ node: ONNXNode) throws(KeelError) -> [Int]? {
    if let operand = try node.optionalConstant(1, "axes") {
      return try operand.integers(at: node.place)
    }
    return try node.ints("axes")
  }

  func squeeze(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let value = try node.input(0)
    let extents = extents(value)
    var axes = extents.indices.filter { extents[$0] == 1 }
    if let stated = try stated(node) { axes = try node.axes(stated, rank: extents.count) }
    guard axes.allSatisfy({ extents[$0] == 1 }) else {
      throw node.unsupported("axes of extent 1", found: "\(axes) of \(extents)")
    }
    if case .constant(let tensor, _) = value {
      let kept = tensor.extents.enumerated().filter { !axes.contains($0.offset) }.map(\.element)
      return [.constant(tensor.reshaped(kept), name: nil)]
    }
    return [.graph(try removing(axes, from: try ordered(node), node.label))]
  }

  /// A value without some axes of extent 1.
  func removing(_ axes: [Int], from x: OrderedValue, _ label: String) throws(KeelError)
    -> OrderedValue
  {
    let extents = extents(x).enumerated().filter { !axes.contains($0.offset) }.map(\.element)
    return try reshaped(x, to: extents, label)
  }

  func unsqueeze(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let value = try node.input(0)
    guard let stated = try stated(node) else {
      throw node.unsupported("axes", found: "none")
    }
    var extents = extents(value)
    let axes = try node.axes(stated, rank: extents.count + stated.count)
    for axis in axes.sorted() { extents.insert(1, at: axis) }
    if case .constant(let tensor, _) = value {
      return [.constant(tensor.reshaped(extents.compactMap(\.fixedValue)), name: nil)]
    }
    return [.graph(try reshaped(try ordered(node), to: extents, node.label))]
  }

  /// Another order on paper: nothing is moved until an operator asks for it.
  func transpose(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let value = try node.input(0)
    let rank = extents(value).count
    let permutation = try node.ints("perm") ?? Array((0..<rank).reversed())
    guard permutation.sorted() == Array(0..<rank) else {
      throw node.unsupported("a permutation of \(rank) axes", found: "\(permutation)")
    }
    if case .constant(let tensor, let name) = value {
      let own = rank == 2 && permutation == [1, 0] ? name.map { "\($0).transposed" } : nil
      return [.constant(tensor.permuted(permutation), name: own)]
    }
    let x = try ordered(node)
    let inverse = AxisOrder.inverse(permutation)
    return [.graph(OrderedValue(x.id, order: x.order.map { inverse[$0] }))]
  }
}
