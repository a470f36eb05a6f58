import KeelGraph
import KeelTensor

/// Gemm and MatMul.
extension GraphImporter {
  /// Operand k of two axes, turned round where `turns` says so.
  private func matrix(_ node: ONNXNode, _ k: Int, turns: Bool) throws(KeelError) -> ValueID {
    guard extents(try node.input(k)).count == 2 else {
      throw node.unsupported("operand \(k) of two axes", found: "\(extents(try node.input(k)))")
    }
    return try operand(node, k, order: turns ? [1, 0] : [0, 1])
  }

  /// Y = α·A·B + β·C.
  func gemm(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let (alpha, beta) = (try node.float("alpha", 1), try node.float("beta", 1))
    if node.version < 7 { node.ignore("broadcast") }
    let a = try matrix(node, 0, turns: try node.flag("transA"))
    // Keel's weights are out×in: what ONNX calls transposed.
    let b = try matrix(node, 1, turns: try !node.flag("transB"))
    var operands = [a, b]
    var epilogue = Epilogue()
    var rest: ImportedValue?
    if let c = node.optional(2), beta != 0 {
      let isBias = extents(c) == [type(b).extents[0]]
      if isBias, alpha == 1, beta == 1 {
        operands.append(try vector(node, 2))
        epilogue = Epilogue(hasBias: true)
      } else {
        rest = c
      }
    }
    var y = OrderedValue(try append(.linear(epilogue), operands, node.label), order: [0, 1])
    if alpha != 1 { y = try apply(.multiply, y, alpha, node.label) }
    if var rest {
      if beta != 1 {
        rest = .graph(try apply(.multiply, try ordered(rest, at: node.label), beta, node.label))
      }
      y = try combine(.add, .graph(y), rest, node.label)
    }
    return [.graph(y)]
  }

  /// Y = A·B, over leading axes as NumPy does.
  func matMul(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let (a, b) = (extents(try node.input(0)), extents(try node.input(1)))
    guard !a.isEmpty, !b.isEmpty else {
      throw node.unsupported("operands of at least one axis", found: "a scalar")
    }
    // Vectors are matrices of one row or column, whose axis goes again.
    var left = try ordered(node, 0)
    if a.count == 1 {
      left = OrderedValue(try reshape(left.id, [1] + a, node.label), order: [0, 1])
    }
    let result: OrderedValue
    if b.count <= 2 {
      let weight =
        b.count == 2
        ? try operand(node, 1, order: [1, 0])
        : try reshape(try operand(node, 1, order: [0]), [1] + b, node.label)
      result = try rows(left, times: weight, node)
    } else {
      result = try batches(left, try ordered(node, 1), node)
    }
    var extents = extents(result)
    guard a.count == 1 || b.count == 1 else { return [.graph(result)] }
    let plain = try stored(result, AxisOrder.plain(extents.count), label: node.label)
    if b.count == 1 { extents.removeLast() }
    if a.count == 1 { extents.remove(at: extents.count - (b.count == 1 ? 1 : 2)) }
    return [plainResult(try reshape(plain, extents, node.label))]
  }

  /// The last axis of a value, in an order, by a weight out×in: a linear layer, or a convolution of one tap, which keeps
  /// the other axes apart.
  func rows(
    _ x: OrderedValue, times weight: ValueID, order: [Int]? = nil, _ node: ONNXNode
  ) throws(KeelError) -> OrderedValue {
    let order = order ?? AxisOrder.plain(x.order.count)
    let plain = try stored(x, order, label: node.label)
    let type = type(plain)
    if type.rank == 2 {
      return OrderedValue(
        try append(.linear(Epilogue()), [plain, weight], node.label), order: order)
    }
    let known = type.extents.dropFirst().compactMap(\.fixedValue)
    let ends = self.type(weight).extents.compactMap(\.fixedValue)
    guard known.count == type.rank - 1, ends.count == 2, let first = known.first else {
      throw node.unsupported("extents that are known but for the first", found: "\(type)")
    }
    let positions = known.dropLast().reduce(1, *)
    let geometry = try ConvolutionGeometry(
      axes: [try SpatialAxis(input: positions, window: 1, place: node.place)],
      inputChannels: known.last ?? first, outputChannels: ends[0], place: node.place)
    let sequence = try reshape(
      plain, [type.extents[0], .fixed(positions), type.extents[type.rank - 1]], node.label)
    let kernel = try reshape(weight, [.fixed(ends[0]), 1, .fixed(ends[1])], node.label)
    let y = try append(.convolution(geometry, Epilogue()), [sequence, kernel], node.label)
    let extents = Array(type.extents.dropLast()) + [.fixed(ends[0])]
    return OrderedValue(try reshape(y, extents, node.label), order: order)
  }

  /// Matrices of leading axes, one after another: all extents are known, and there are at most 64 of them.
  private func batches(
    _ a: OrderedValue, _ b: OrderedValue, _ node: ONNXNode
  ) throws(KeelError) -> OrderedValue {
    let (ea, eb) = (extents(a), extents(b))
    let (na, nb) = (ea.compactMap(\.fixedValue), eb.compactMap(\.fixedValue))
    guard na.count == ea.count, nb.count == eb.count,
      let lead = Array(ea.dropLast(2)).broadcast(with: Array(eb.dropLast(2)))
    else {
      throw node.unsupported("known extents that broadcast", found: "\(ea) and \(eb)")
    }
    try checkSize(lead, at: node.place)
    let shape = lead.compactMap(\.fixedValue)
    let count = shape.reduce(1, *)
    guard count <= 64 else {
      throw node.unsupported("at most 64 matrices of leading axes", found: "\(count)")
    }
    func slices(_ value: OrderedValue, _ extents: [Int]) throws(KeelError) -> [ValueID] {
      let order = AxisOrder.plain(extents.count)
      let matrix = Array(extents.suffix(2))
      let own = Array(extents.dropLast(2))
      let strides = HostTensor.strides(own)
      let missing = shape.count - own.count
      let steps = shape.indices.map { axis in
        axis < missing || own[axis - missing] == 1 ? 0 : strides[axis - missing]
      }
      var positions: [Int] = []
      HostTensor.forEachPosition(shape, steps) { positions.append($0) }
      let flat = try reshape(
        try stored(value, order, label: node.label),
        [.fixed(own.reduce(1, *)), .fixed(matrix[0]), .fixed(matrix[1])], node.label)
      var result: [ValueID] = []
      for position in positions {
        let slice = try append(
          .movement(Movement([.slice(start: position, count: 1, step: 1), .whole, .whole])),
          [flat], node.label)
        result.append(try reshape(slice, matrix.map(Extent.fixed), node.label))
      }
      return result
    }
    let (left, right) = (try slices(a, na), try slices(b, nb))
    var products: [ValueID] = []
    for (x, w) in zip(left, right) {
      let turned = try append(.transpose(permutation: [1, 0]), [w], node.label)
      let y = try append(.linear(Epilogue()), [x, turned], node.label)
      products.append(try reshape(y, [1] + type(y).extents, node.label))
    }
    let all = try append(.concatenation(axis: 0), products, node.label)
    let extents = lead + type(all).extents.dropFirst()
    return OrderedValue(
      try reshape(all, extents, node.label), order: AxisOrder.plain(extents.count))
  }
}
