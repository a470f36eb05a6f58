import KeelGraph
import KeelTensor

/// Concat, Slice, Split, Pad, Gather, Expand and Tile.
extension GraphImporter {
  func concat(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    guard let stated = try node.int("axis") else {
      throw node.unsupported("attribute axis", found: "none")
    }
    var constants: [HostTensor] = []
    var lead: OrderedValue?
    for k in node.inputs.indices {
      switch try node.input(k) {
      case .constant(let tensor, _): constants.append(tensor)
      case .graph(let value): lead = lead ?? value
      case .missing, .sequence: break
      }
    }
    if let lead {
      let axis = try node.axis(stated, rank: lead.order.count)
      var operands: [ValueID] = []
      for k in node.inputs.indices {
        guard extents(try node.input(k)).count == lead.order.count else {
          throw node.unsupported("operands of \(lead.order.count) axes", found: "operand \(k)")
        }
        operands.append(try operand(node, k, order: lead.order, role: .state))
      }
      let y = try append(
        .concatenation(axis: lead.position(ofAxis: axis)), operands, node.label)
      return [.graph(OrderedValue(y, order: lead.order))]
    }
    guard let first = constants.first else {
      throw node.unsupported("at least one operand", found: "none")
    }
    let axis = try node.axis(stated, rank: first.rank)
    func rest(_ tensor: HostTensor) -> [Int] {
      tensor.extents.enumerated().filter { $0.offset != axis }.map(\.element)
    }
    guard constants.allSatisfy({ $0.rank == first.rank && rest($0) == rest(first) }),
      constants.allSatisfy({ $0.elementType == first.elementType })
    else {
      throw node.unsupported("operands like the first", found: "\(constants.map(\.extents))")
    }
    // Joined as runs of elements, then put in order.
    var extents = first.extents
    extents[axis] = constants.reduce(0) { $0 + $1.extents[axis] }
    let outer = first.extents.prefix(axis).reduce(1, *)
    var positions: [Int] = []
    for o in 0..<outer {
      var base = 0
      for tensor in constants {
        let run = tensor.extents.dropFirst(axis).reduce(1, *)
        positions += base + o * run..<base + (o + 1) * run
        base += tensor.count
      }
    }
    let joined = try HostTensor.joined(constants, at: node.place)
    return [.constant(joined.selecting(positions, extents), name: nil)]
  }

  /// Elements of one axis: start, start + step, …, of which there are `count`.
  func sliced(
    _ value: ImportedValue, axis: Int, start: Int, count: Int, step: Int, _ node: ONNXNode
  ) throws(KeelError) -> ImportedValue {
    if case .constant(let tensor, _) = value {
      return .constant(
        tensor.taking((0..<count).map { start + $0 * step }, axis: axis), name: nil)
    }
    let x = try ordered(value, at: node.label)
    let extent = try known(node, x, axis: axis)
    if start == 0, step == 1, count == extent { return value }
    guard count > 0 else { throw node.unsupported("at least one element", found: "none") }
    if step < 0 {
      // From the last to the first: elements one by one.
      let positions = (0..<count).map { start + $0 * step }
      guard let taken = try runs(of: positions, value, axis: axis, node) else {
        throw node.unsupported("at most 64 elements from behind", found: "\(count)")
      }
      return .graph(taken)
    }
    var axes = [AxisMovement](repeating: .whole, count: x.order.count)
    axes[x.position(ofAxis: axis)] = .slice(start: start, count: count, step: step)
    return .graph(try apply(.movement(Movement(axes)), x, node.label))
  }

  func slice(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    func list(_ k: Int, _ name: String) throws(KeelError) -> [Int]? {
      if node.version < 10 { return try node.ints(name) }
      return try node.optionalConstant(k, name)?.integers(at: node.place)
    }
    var value = try node.input(0)
    let extents = extents(value)
    guard let starts = try list(1, "starts"), let ends = try list(2, "ends"),
      starts.count == ends.count
    else {
      throw node.unsupported("as many starts as ends", found: "others")
    }
    let axes = try node.axes(
      try list(3, "axes") ?? Array(starts.indices), rank: extents.count)
    let steps = try list(4, "steps") ?? [Int](repeating: 1, count: starts.count)
    guard axes.count == starts.count, steps.count == starts.count,
      steps.allSatisfy({ $0 != 0 && abs($0.clamped) < 1 << 31 })
    else {
      throw node.unsupported("an axis and a step other than 0 for each start", found: "others")
    }
    for (k, axis) in axes.enumerated() {
      if starts[k] == 0, ends[k] >= Int(Int32.max), steps[k] == 1 { continue }
      guard let extent = extents[axis].fixedValue else {
        throw node.unsupported(
          "a known extent on axis \(axis) (give it by name)", found: "\(extents[axis])")
      }
      let step = steps[k]
      func inside(_ position: Int) -> Int {
        let counted = position < 0 ? position.clamped + extent : position
        return step > 0 ? min(max(counted, 0), extent) : min(max(counted, -1), extent - 1)
      }
      let start = inside(starts[k])
      let end = step < 0 && ends[k] < -extent ? -1 : inside(ends[k])
      let count = max(
        0, step > 0 ? (end - start + step - 1) / step : (start - end - step - 1) / -step)
      value = try sliced(value, axis: axis, start: start, count: count, step: step, node)
    }
    return [value]
  }

  func split(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let value = try node.input(0)
    let extents = extents(value)
    let axis = try node.axis(try node.int("axis", 0), rank: extents.count)
    guard let extent = extents[axis].fixedValue else {
      throw node.unsupported("a known extent on axis \(axis)", found: "\(extents[axis])")
    }
    var parts = try node.ints("split")
    if let operand = try node.optionalConstant(1, "split") {
      parts = try operand.integers(at: node.place)
    }
    let count = try node.int("num_outputs", node.proto.output.count)
    guard count >= 1, count <= min(max(1, extent), node.proto.output.count) else {
      throw node.unsupported(
        "1 to \(extent) parts, a result for each", found: "\(count)")
    }
    let size = (extent + count - 1) / count
    let sizes = parts ?? (0..<count).map { max(0, min(size, extent - $0 * size)) }
    guard sizes.allSatisfy({ (0...extent).contains($0) }), sizes.reduce(0, +) == extent else {
      throw node.unsupported("parts of \(extent) elements", found: "\(sizes)")
    }
    var results: [ImportedValue] = []
    var start = 0
    for size in sizes {
      results.append(
        try sliced(value, axis: axis, start: start, count: size, step: 1, node))
      start += size
    }
    return results
  }

  /// Pad; amounts are an attribute up to version 10 of the operators, an operand later.
  func pad(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let x = try ordered(node)
    let rank = x.order.count
    var fill = try node.float("value", 0)
    var amounts = try node.ints("pads")
    if let operand = try node.optionalConstant(1, "pads") {
      amounts = try operand.integers(at: node.place)
    }
    if let value = try node.optionalConstant(2, "the padding's value"), value.count == 1 {
      fill = try value.number(at: node.place)
    }
    let stated = try node.optionalConstant(3, "axes")?.integers(at: node.place)
    let axes = try node.axes(stated ?? Array(0..<rank), rank: rank)
    guard let amounts, amounts.count == 2 * axes.count,
      amounts.allSatisfy({ (-1 << 31..<1 << 31).contains($0) })
    else {
      throw node.unsupported("two pads for each axis", found: "\(amounts ?? [])")
    }
    let mode: PaddingMode
    switch try node.string("mode", "constant") {
    case "constant": mode = .constant(fill)
    case "reflect": mode = .reflect
    case "edge": mode = .replicate
    case "wrap": mode = .circular
    case let other: throw node.unsupported("a mode that ONNX has", found: other)
    }
    var movement = [AxisMovement](repeating: .whole, count: rank)
    for (k, axis) in axes.enumerated() where amounts[k] != 0 || amounts[k + axes.count] != 0 {
      movement[x.position(ofAxis: axis)] = .pad(
        before: amounts[k], after: amounts[k + axes.count], mode)
    }
    if movement.allSatisfy({ $0 == .whole }) { return [.graph(x)] }
    return [.graph(try apply(.movement(Movement(movement)), x, node.label))]
  }

  func gather(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let value = try node.input(0)
    let extents = extents(value)
    let axis = try node.axis(try node.int("axis", 0), rank: extents.count)
    if case .graph(let indices) = try node.input(1) {
      // A row of a table for each index.
      guard axis == 0, case .constant = value else {
        throw node.unsupported("rows of a constant table by indices", found: "axis \(axis)")
      }
      let table = try operand(node, 0, order: AxisOrder.plain(extents.count))
      let plain = try stored(
        indices, AxisOrder.plain(indices.order.count), label: node.label)
      return [plainResult(try append(.selection, [table, plain], node.label))]
    }
    let indices = try node.constant(1, "indices")
    guard let extent = extents[axis].fixedValue else {
      throw node.unsupported("a known extent on axis \(axis)", found: "\(extents[axis])")
    }
    var positions: [Int] = []
    for index in try indices.integers(at: node.place) {
      guard (-extent..<extent).contains(index) else {
        throw node.unsupported("indices of \(extent) elements", found: "\(index)")
      }
      positions.append(index < 0 ? index + extent : index)
    }
    var target = extents
    target.replaceSubrange(axis...axis, with: indices.extents.map(Extent.fixed))
    if case .constant(let tensor, _) = value {
      let known = target.compactMap(\.fixedValue)
      _ = try HostTensor.checkedCount(
        known, at: node.place, most: HostTensor.largestMade(from: tensor.count))
      return [.constant(tensor.taking(positions, axis: axis).reshaped(known), name: nil)]
    }
    guard let taken = try runs(of: positions, value, axis: axis, node) else {
      throw node.unsupported("at most 64 runs of neighbours", found: "\(positions.count) indices")
    }
    return [.graph(try reshaped(taken, to: target, node.label))]
  }

  /// Elements of one axis at given positions, as slices of neighbours; nil for more than 64 of those.
  private func runs(
    of positions: [Int], _ value: ImportedValue, axis: Int, _ node: ONNXNode
  ) throws(KeelError) -> OrderedValue? {
    var runs: [Range<Int>] = []
    for position in positions {
      if let last = runs.last, last.upperBound == position {
        runs[runs.count - 1] = last.lowerBound..<position + 1
      } else {
        runs.append(position..<position + 1)
      }
    }
    guard (1...64).contains(runs.count) else { return nil }
    var parts: [ValueID] = []
    let order = try ordered(value, at: node.label).order
    for run in runs {
      let part = try sliced(
        value, axis: axis, start: run.lowerBound, count: run.count, step: 1, node)
      parts.append(try ordered(part, at: node.label).id)
    }
    if parts.count == 1 { return OrderedValue(parts[0], order: order) }
    let position = order.firstIndex(of: axis) ?? 0
    return OrderedValue(
      try append(.concatenation(axis: position), parts, node.label), order: order)
  }

  func expand(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let stated = try node.constant(1, "a shape").extentList(at: node.place)
    let value = try node.input(0)
    guard let target = extents(value).broadcast(with: stated) else {
      throw node.unsupported("a shape that \(extents(value)) broadcasts to", found: "\(stated)")
    }
    if target == extents(value) { return [value] }
    let known = target.compactMap(\.fixedValue)
    if case .constant(let tensor, _) = value, known.count == target.count {
      let count = try HostTensor.checkedCount(
        known, at: node.place, most: HostTensor.largestMade(from: tensor.count))
      let other = HostTensor(booleans: [Bool](repeating: true, count: count), known)
      let positions = try tensor.positions(with: other, at: node.place)
      return [.constant(tensor.selecting(positions.left, known), name: nil)]
    }
    try checkSize(target, at: node.place)
    let order = AxisOrder.plain(target.count)
    let x = try aligned(value, with: order, node.label)
    return [plainResult(try append(.expand(target), [x], node.label))]
  }

  func tile(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let repeats = try node.constant(1, "repeats").integers(at: node.place)
    let x = try ordered(node)
    guard repeats.count == x.order.count, repeats.allSatisfy({ (1...64).contains($0) }) else {
      throw node.unsupported("1 to 64 repeats for each axis", found: "\(repeats)")
    }
    var y = x
    for (axis, count) in repeats.enumerated() where count > 1 {
      let copies = [ValueID](repeating: y.id, count: count)
      y.id = try append(
        .concatenation(axis: y.position(ofAxis: axis)), copies, node.label)
    }
    return [.graph(y)]
  }
}

extension Int {
  /// The number, or the nearest that can be negated and added to.
  fileprivate var clamped: Int { Swift.max(self, Int.min / 2) }
}

extension HostTensor {
  /// The elements at some positions of an axis.
  func taking(_ positions: [Int], axis: Int) -> HostTensor {
    let inner = extents.dropFirst(axis + 1).reduce(1, *)
    let outer = extents.prefix(axis).reduce(1, *)
    var list: [Int] = []
    for o in 0..<outer {
      for position in positions {
        let start = (o * extents[axis] + position) * inner
        list += start..<start + inner
      }
    }
    var target = extents
    target[axis] = positions.count
    return selecting(list, target)
  }
}
