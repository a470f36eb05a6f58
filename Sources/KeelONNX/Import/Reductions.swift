import KeelGraph
import KeelTensor

/// Reductions.
extension GraphImporter {
  /// A reduction along axes of ONNX. Those that stay keep their place in the order.
  func reduce(
    _ x: OrderedValue, _ kind: Reduction.Kind, axes: [Int], keeps: Bool, _ label: String
  ) throws(KeelError) -> OrderedValue {
    if axes.isEmpty { return x }
    let positions = axes.map { x.position(ofAxis: $0) }
    let y = try append(.reduction(Reduction(kind, axes: positions)), [x.id], label)
    if keeps {
      var extents = type(x.id).extents
      for position in positions { extents[position] = 1 }
      return OrderedValue(try reshape(y, extents, label), order: x.order)
    }
    let order = x.order.filter { !axes.contains($0) }
    return OrderedValue(y, order: order.map { axis in axis - axes.filter { $0 < axis }.count })
  }

  /// The axes of a reduction: an attribute or, later, an operand; all where there are none.
  private func axes(_ node: ONNXNode, rank: Int) throws(KeelError) -> [Int] {
    var axes = try node.ints("axes")
    if let operand = try node.optionalConstant(1, "axes") {
      axes = try operand.integers(at: node.place)
    }
    let none = try node.flag("noop_with_empty_axes")
    guard let axes, !axes.isEmpty else { return none ? [] : Array(0..<rank) }
    return try node.axes(axes, rank: rank)
  }

  func reduction(
    _ node: ONNXNode, _ kind: Reduction.Kind, before: ElementwiseFunction? = nil,
    after: ElementwiseFunction? = nil
  ) throws(KeelError) -> [ImportedValue] {
    let keeps = try node.flag("keepdims", true)
    var x = try ordered(node)
    let axes = try axes(node, rank: x.order.count)
    if let before { x = try apply(.elementwise(before), x, node.label) }
    if axes.isEmpty, kind == .absoluteSum || kind == .euclideanNorm {
      x = try apply(.elementwise(.absolute), x, node.label)
    }
    var y = try reduce(x, kind, axes: axes, keeps: keeps, node.label)
    if let after { y = try apply(.elementwise(after), y, node.label) }
    return [.graph(y)]
  }

  /// m + log Σ e^(x − m) with the largest x, m.
  func logSumExp(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let keeps = try node.flag("keepdims", true)
    let x = try ordered(node)
    let axes = try axes(node, rank: x.order.count)
    let largest = try reduce(x, .maximum, axes: axes, keeps: true, node.label)
    let rest = try combine(.subtract, .graph(x), .graph(largest), node.label)
    var sum = try apply(.elementwise(.exponential), rest, node.label)
    sum = try reduce(sum, .sum, axes: axes, keeps: true, node.label)
    sum = try apply(.elementwise(.logarithm), sum, node.label)
    let y = try combine(.add, .graph(sum), .graph(largest), node.label)
    if keeps { return [.graph(y)] }
    return [.graph(try removing(axes, from: y, node.label))]
  }

  /// A product of constants, such as the extents of a shape.
  func product(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let keeps = try node.flag("keepdims", true)
    if case .graph(let x) = try node.input(0) { return [try product(of: x, keeps: keeps, node)] }
    let tensor = try node.constant(0, "an operand")
    let axes = try axes(node, rank: tensor.rank)
    guard axes.count == tensor.rank, case .integers = tensor.elements else {
      throw node.unsupported("integers and all axes", found: "\(tensor.elementType), \(axes)")
    }
    var result: HostTensor? = HostTensor(integers: [1], [])
    for i in 0..<tensor.count {
      result = try result?.combined(.multiply, tensor.selecting([i], []), at: node.place)
    }
    guard let result else { throw node.unsupported("integers", found: "others") }
    let extents = keeps ? [Int](repeating: 1, count: tensor.rank) : []
    return [.constant(result.reshaped(extents), name: nil)]
  }

  /// The slices of each axis, one times the other.
  private func product(of value: OrderedValue, keeps: Bool, _ node: ONNXNode) throws(KeelError)
    -> ImportedValue
  {
    var x = value
    let axes = try axes(node, rank: x.order.count)
    for axis in axes {
      let extent = try known(node, x, axis: axis)
      guard extent <= 64 else {
        throw node.unsupported("at most 64 factors", found: "\(extent)")
      }
      var result: ImportedValue?
      for position in 0..<extent {
        let part = try sliced(.graph(x), axis: axis, start: position, count: 1, step: 1, node)
        result =
          try result.map { (all) throws(KeelError) in
            try combined(.multiply, all, part, node)
          } ?? part
      }
      x = try ordered(result!, at: node.label)
    }
    if keeps { return .graph(x) }
    let rest = extents(x).enumerated().filter { !axes.contains($0.offset) }.map(\.element)
    return .graph(try reshaped(x, to: rest, node.label))
  }
}
