import KeelGraph
import KeelTensor

/// Arithmetic and functions, of values by nodes and of constants at once.
extension GraphImporter {
  func function(_ node: ONNXNode, _ function: ElementwiseFunction) throws(KeelError)
    -> [ImportedValue]
  {
    if case .constant(let tensor, _) = try node.input(0) {
      if case .integers = tensor.elements, function == .negate || function == .absolute {
        let list = try tensor.integers(at: node.place).map {
          Extent.fixed(function == .negate ? 0 &- $0 : $0 < 0 ? 0 &- $0 : $0)
        }
        return [.constant(HostTensor(integers: list, tensor.extents), name: nil)]
      }
      if case .floats(let floats) = tensor.elements, let f = function.onHost {
        let result = Tensor(uninitialized: floats.shape) { out in
          floats.withSpan { x in for i in out.indices { out[i] = f(x[i]) } }
        }
        return [.constant(HostTensor(result), name: nil)]
      }
    }
    return [.graph(try apply(.elementwise(function), try ordered(node), node.label))]
  }

  /// Rounding of constants: Keel's graphs have none.
  func rounded(_ node: ONNXNode, _ rule: FloatingPointRoundingRule) throws(KeelError)
    -> [ImportedValue]
  {
    let floats = try node.constant(0, "an operand").floats(at: node.place)
    let result = Tensor(uninitialized: floats.shape) { out in
      floats.withSpan { x in for i in out.indices { out[i] = x[i].rounded(rule) } }
    }
    return [.constant(HostTensor(result), name: nil)]
  }

  func arithmetic(_ node: ONNXNode, _ operation: Arithmetic) throws(KeelError) -> [ImportedValue] {
    // Before version 7 of the operators, broadcasting had to be asked for.
    if node.version < 7 { node.ignore("broadcast") }
    guard node.inputs.count == 2 else {
      throw node.unsupported("two operands", found: "\(node.inputs.count)")
    }
    return [try combined(operation, try node.input(0), try node.input(1), node)]
  }

  /// The operation on one operand after another.
  func variadic(_ node: ONNXNode, _ operation: Arithmetic) throws(KeelError) -> [ImportedValue] {
    var result = try node.input(0)
    for k in node.inputs.indices.dropFirst() {
      result = try combined(operation, result, try node.input(k), node)
    }
    return [result]
  }

  func mean(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let sum = try ordered(try variadic(node, .add)[0], at: node.label)
    return [.graph(try apply(.divide, sum, Float(node.inputs.count), node.label))]
  }

  func combined(
    _ operation: Arithmetic, _ a: ImportedValue, _ b: ImportedValue, _ node: ONNXNode
  ) throws(KeelError) -> ImportedValue {
    if case .constant(let x, _) = a, case .constant(let y, _) = b,
      let result = try x.combined(operation, y, at: node.place)
    {
      return .constant(result, name: nil)
    }
    // Exponents may be integers.
    var b = b
    if operation == .power, case .constant(let exponent, _) = b, exponent.count == 1 {
      let number = try exponent.number(at: node.place)
      let rank = extents(a).count
      if exponent.rank <= rank {
        b = .constant(HostTensor(Tensor(repeating: number, shape: [])), name: nil)
      }
    }
    return .graph(try combine(operation, a, b, node.label))
  }

  func comparison(_ node: ONNXNode, _ holds: (Double, Double) -> Bool) throws(KeelError)
    -> [ImportedValue]
  {
    let (a, b) = (try node.constant(0, "an operand"), try node.constant(1, "an operand"))
    let (extents, left, right) = try a.positions(with: b, at: node.place)
    let (x, y) = (try a.doubles(at: node.place), try b.doubles(at: node.place))
    let result = zip(left, right).map { holds(x[$0], y[$1]) }
    return [.constant(HostTensor(booleans: result, extents), name: nil)]
  }

  func not(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let tensor = try node.constant(0, "an operand")
    let result = try tensor.doubles(at: node.place).map { $0 == 0 }
    return [.constant(HostTensor(booleans: result, tensor.extents), name: nil)]
  }

  /// Elements of the second operand where the first is true, otherwise of the third.
  func choice(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let operands = (try node.input(0), try node.input(1), try node.input(2))
    if case (.constant(let condition, _), .constant(let a, _), .constant(let b, _)) = operands {
      return [try chosen(condition, a, b, node)]
    }
    let (condition, a, b) = operands
    guard
      let extents = extents(a).broadcast(with: extents(b))?.broadcast(with: extents(condition))
    else {
      throw node.unsupported(
        "operands that broadcast", found: "\(extents(condition)), \(extents(a)), \(extents(b))")
    }
    // Truth values are not transposed: the others take their order.
    var order = AxisOrder.plain(extents.count)
    for case .graph(let value) in [condition, a, b] where value.order.count == extents.count {
      order = value.order
      break
    }
    let target = order.map { extents[$0] }
    func whole(_ value: ImportedValue) throws(KeelError) -> ValueID {
      let id = try aligned(value, with: order, node.label)
      return type(id).extents == target ? id : try append(.expand(target), [id], node.label)
    }
    var holds = condition
    if case .constant(let tensor, _) = condition {
      holds = .constant(try tensor.converted(to: .float32, at: node.place), name: nil)
    }
    let choice = [
      try aligned(holds, with: order, node.label), try whole(a), try whole(b),
    ]
    return [.graph(OrderedValue(try append(.choice, choice, node.label), order: order))]
  }

  private func chosen(
    _ condition: HostTensor, _ a: HostTensor, _ b: HostTensor, _ node: ONNXNode
  ) throws(KeelError) -> ImportedValue {
    guard a.elementType == b.elementType else {
      throw node.unsupported("operands of one type", found: "\(a.elementType), \(b.elementType)")
    }
    let (shape, left, right) = try a.positions(with: b, at: node.place)
    let like = HostTensor(
      booleans: [Bool](repeating: true, count: left.count), shape)
    let (extents, which, place) = try condition.positions(with: like, at: node.place)
    let flags = try condition.doubles(at: node.place)
    let joined = try HostTensor.joined([a, b], at: node.place)
    let positions = zip(which, place).map { w, p in
      flags[w] != 0 ? left[p] : a.count + right[p]
    }
    return .constant(joined.selecting(positions, extents), name: nil)
  }

  /// Another element type: of constants; of values only what they are already.
  func cast(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    node.ignore("saturate", "round_mode")
    guard let number = try node.int("to") else {
      throw node.unsupported("attribute to", found: "none")
    }
    let type = try ONNXElementType(
      number: Int32(truncatingIfNeeded: number), at: node.place)
    guard type != .bfloat16 else {
      throw node.unsupported("a cast that changes no values", found: "bfloat16")
    }
    return [try converted(node, to: type.elementType)]
  }

  func castLike(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    node.ignore("saturate", "round_mode")
    guard !isBrainFloat(node.proto.input.last ?? "") else {
      throw node.unsupported("a cast that changes no values", found: "bfloat16")
    }
    switch try node.input(1) {
    case .constant(let like, _): return [try converted(node, to: like.elementType)]
    case .graph(let like): return [try converted(node, to: type(like.id).elementType)]
    default: throw node.unsupported("a tensor", found: "another value")
    }
  }

  /// Whether an input or initializer is of bfloat16, whose rounding Keel's Floats do not show.
  private func isBrainFloat(_ name: String) -> Bool {
    let type = ONNXElementType.bfloat16.rawValue
    return model.proto.graph.initializer.contains { $0.name == name && $0.dataType == type }
      || model.proto.graph.input.contains { $0.name == name && $0.type.tensorType.elemType == type }
  }

  private func converted(_ node: ONNXNode, to target: ElementType) throws(KeelError)
    -> ImportedValue
  {
    switch try node.input(0) {
    case .constant(let tensor, let name):
      if tensor.elementType == target { return .constant(tensor, name: name) }
      return .constant(try tensor.converted(to: target, at: node.place), name: nil)
    case let value:
      let own = type(try ordered(value, at: node.label).id).elementType
      guard own == target else {
        throw node.unsupported("a cast that changes no values", found: "\(own) to \(target)")
      }
      return value
    }
  }
}

extension ElementwiseFunction {
  /// The function in Float, of those that need no library.
  fileprivate var onHost: ((Float) -> Float)? {
    switch self {
    case .negate: { -$0 }
    case .absolute: { $0.magnitude }
    case .squareRoot: { $0.squareRoot() }
    case .reciprocal: { 1 / $0 }
    case .square: { $0 * $0 }
    case .sign, .exponential, .logarithm, .errorFunction: nil
    }
  }
}
