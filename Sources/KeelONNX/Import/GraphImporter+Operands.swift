import KeelGraph
import KeelTensor

/// Operands of nodes as values of the graph.
extension GraphImporter {
  /// A value of the graph in the order in which it is stored; a constant becomes a weight, or a fill where
  /// it is one number that has no name.
  func ordered(
    _ value: ImportedValue, at place: String, role: Graph.Weight.Role = .state
  ) throws(KeelError) -> OrderedValue {
    switch value {
    case .graph(let value): return value
    case .missing:
      throw KeelError(.graph, at: place, expected: "an operand", found: "none")
    case .sequence:
      throw KeelError(.graph, at: place, expected: "a tensor", found: "a sequence")
    case .constant(let tensor, _):
      let order = AxisOrder.plain(tensor.rank)
      if tensor.elementType != .float32 {
        let value = try tensor.value(at: place)
        return OrderedValue(try append(.constant(value), [], place), order: order)
      }
      let id = try constant(value, order, role, at: place)
      return OrderedValue(id, order: order)
    }
  }

  /// A constant as a value of the graph, its axes in an order.
  private func constant(
    _ value: ImportedValue, _ order: [Int], _ role: Graph.Weight.Role, at place: String
  ) throws(KeelError) -> ValueID {
    guard case .constant(let tensor, let name) = value else {
      throw KeelError(.graph, at: place, expected: "a constant", found: "another value")
    }
    let floats = try tensor.floats(at: place)
    if name == nil, tensor.count == 1 {
      let extents = tensor.extents.map(Extent.fixed)
      return try append(.fill(floats[flat: 0], extents), [], place)
    }
    // Without a name there is no other use of it.
    let own = name ?? "\(place).constant"
    let key = name.map { "\($0) \(order)" } ?? "\(own) \(builder.graph.types.count)"
    return try weight(own, key: key, role: name == nil ? .state : role) {
      () throws(KeelError) -> Tensor in
      try tensor.permuted(order).floats(at: place)
    }
  }

  /// Operand k, stored as it is.
  func ordered(_ node: ONNXNode, _ k: Int = 0) throws(KeelError) -> OrderedValue {
    try ordered(try node.input(k), at: node.label)
  }

  /// Operand k with its axes in an order.
  func operand(
    _ node: ONNXNode, _ k: Int, order: [Int], role: Graph.Weight.Role = .trainable
  ) throws(KeelError) -> ValueID {
    let value = try node.input(k)
    switch value {
    case .constant: return try constant(value, order, role, at: node.label)
    default: return try stored(try ordered(value, at: node.label), order, label: node.label)
    }
  }

  /// Operand k as a vector.
  func vector(
    _ node: ONNXNode, _ k: Int, role: Graph.Weight.Role = .trainable
  ) throws(KeelError) -> ValueID {
    guard extents(try node.input(k)).count == 1 else {
      throw node.unsupported("operand \(k) of one axis", found: "\(extents(try node.input(k)))")
    }
    return try operand(node, k, order: [0], role: role)
  }

  /// Operand k stored N×…×C of ONNX's N×C×….
  func channelsLast(_ node: ONNXNode, _ k: Int = 0) throws(KeelError) -> ValueID {
    let value = try ordered(node, k)
    return try stored(value, AxisOrder.channelsLast(value.order.count), label: node.label)
  }

  /// Operand k stored in ONNX's order.
  func plain(_ node: ONNXNode, _ k: Int = 0) throws(KeelError) -> ValueID {
    let value = try ordered(node, k)
    return try stored(value, AxisOrder.plain(value.order.count), label: node.label)
  }

  /// The result N×…×C of a node, which is N×C×… in ONNX.
  func channelsLastResult(_ id: ValueID) -> ImportedValue {
    .graph(OrderedValue(id, order: AxisOrder.channelsLast(type(id).rank)))
  }

  /// A result stored in ONNX's order.
  func plainResult(_ id: ValueID) -> ImportedValue {
    .graph(OrderedValue(id, order: AxisOrder.plain(type(id).rank)))
  }

  /// The extents of a value in ONNX's order.
  func extents(_ value: ImportedValue) -> [Extent] {
    switch value {
    case .graph(let value): extents(value)
    case .constant(let tensor, _): tensor.extents.map(Extent.fixed)
    case .missing, .sequence: []
    }
  }

  /// N×C×… as its channels and spatial extents.
  /// - Throws: `KeelError` of kind `graph` for open ones, and other than 1 to 3 spatial axes.
  func spatial(_ node: ONNXNode, _ k: Int = 0) throws(KeelError) -> (
    channels: Int, inputs: [Int]
  ) {
    let extents = extents(try node.input(k))
    let known = extents.dropFirst().compactMap(\.fixedValue)
    guard (3...5).contains(extents.count), known.count == extents.count - 1 else {
      throw node.unsupported(
        "an operand N×C×… of 1 to 3 spatial axes whose extents are known (give them by name)",
        found: "\(ValueType(extents))")
    }
    return (known[0], Array(known.dropFirst()))
  }

  /// The known extent of an axis of ONNX.
  func known(_ node: ONNXNode, _ value: OrderedValue, axis: Int) throws(KeelError) -> Int {
    guard let extent = extents(value)[axis].fixedValue else {
      throw node.unsupported(
        "a known extent on axis \(axis) (give it by name)", found: "\(extents(value)[axis])")
    }
    return extent
  }

  /// A number as a value without axes.
  func number(_ value: Float, _ label: String) throws(KeelError) -> ValueID {
    try append(.fill(value, []), [], label)
  }

  /// f(x) of a value, in its order.
  func apply(_ primitive: Primitive, _ x: OrderedValue, _ label: String) throws(KeelError)
    -> OrderedValue
  {
    OrderedValue(try append(primitive, [x.id], label), order: x.order)
  }

  /// x ∘ number, in the order of x.
  func apply(_ operation: Arithmetic, _ x: OrderedValue, _ value: Float, _ label: String)
    throws(KeelError) -> OrderedValue
  {
    OrderedValue(
      try append(.arithmetic(operation), [x.id, try number(value, label)], label), order: x.order)
  }

  /// a ∘ b, broadcast as ONNX does, in the order of the one with more axes or elements.
  func combine(
    _ operation: Arithmetic, _ a: ImportedValue, _ b: ImportedValue, _ label: String
  ) throws(KeelError) -> OrderedValue {
    let (ea, eb) = (extents(a), extents(b))
    var leads = ea.count != eb.count ? ea.count > eb.count : true
    if ea.count == eb.count {
      let (ones, others) = (ea.filter { $0 == 1 }.count, eb.filter { $0 == 1 }.count)
      if ones != others { leads = ones < others } else if case .constant = a { leads = false }
    }
    let lead = try ordered(leads ? a : b, at: label)
    let other = try aligned(leads ? b : a, with: lead.order, label)
    let operands = leads ? [lead.id, other] : [other, lead.id]
    return OrderedValue(try append(.arithmetic(operation), operands, label), order: lead.order)
  }

  /// A value stored so that it broadcasts with one of an order: with leading axes of extent 1, and those in
  /// their places.
  func aligned(
    _ value: ImportedValue, with order: [Int], _ label: String,
    role: Graph.Weight.Role = .trainable
  ) throws(KeelError) -> ValueID {
    let missing = order.count - extents(value).count
    switch value {
    case .constant(let tensor, let name):
      if tensor.count == 1, name == nil {
        return try number(try tensor.floats(at: label)[flat: 0], label)
      }
      let raised = tensor.reshaped([Int](repeating: 1, count: missing) + tensor.extents)
      var shape = raised.permuted(order)
      while shape.rank > 1, shape.extents[0] == 1 {
        shape = shape.reshaped(Array(shape.extents.dropFirst()))
      }
      let own = name ?? "\(label).constant"
      // Without its leading axes it is another weight than the constant as it is.
      let key = name.map { "\($0) \(order) aligned" } ?? "\(own) \(builder.graph.types.count)"
      return try weight(own, key: key, role: name == nil ? .state : role) {
        () throws(KeelError) -> Tensor in
        try shape.floats(at: label)
      }
    default:
      let value = try ordered(value, at: label)
      if missing == 0 { return try stored(value, order, label: label) }
      let extents = [Extent](repeating: 1, count: missing) + type(value.id).extents
      let raised = OrderedValue(
        try reshape(value.id, extents, label),
        order: Array(0..<missing) + value.order.map { $0 + missing })
      return try stored(raised, order, label: label)
    }
  }
}
