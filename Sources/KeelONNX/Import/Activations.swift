import KeelGraph
import KeelTensor

/// Activations: those that Keel has, and compositions of what it has.
extension GraphImporter {
  func activation(_ node: ONNXNode, _ activation: Activation) throws(KeelError) -> [ImportedValue] {
    [.graph(try apply(.activation(activation), try ordered(node), node.label))]
  }

  func leakyReLU(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let slope = try node.float("alpha", 0.01)
    if slope > 0 { return try activation(node, .leakyReLU(slope: slope)) }
    let x = try ordered(node)
    let above = try apply(.activation(.relu), x, node.label)
    let below = try apply(
      .multiply, try apply(.minimum, x, 0, node.label), slope, node.label)
    return [.graph(try combine(.add, .graph(above), .graph(below), node.label))]
  }

  /// α·ELU(x/α).
  func celu(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let alpha = try node.float("alpha", 1)
    let scaled = try apply(.divide, try ordered(node), alpha, node.label)
    let y = try apply(.activation(.elu(alpha: 1)), scaled, node.label)
    return [.graph(try apply(.multiply, y, alpha, node.label))]
  }

  func selu(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let alpha = try node.float("alpha", Float(Activation.seluAlpha))
    let gamma = try node.float("gamma", Float(Activation.seluScale))
    if abs(alpha - Float(Activation.seluAlpha)) < 1e-6,
      abs(gamma - Float(Activation.seluScale)) < 1e-6
    {
      return try activation(node, .selu)
    }
    let y = try apply(.activation(.elu(alpha: alpha)), try ordered(node), node.label)
    return [.graph(try apply(.multiply, y, gamma, node.label))]
  }

  func hardSigmoid(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let (alpha, beta) = (try node.float("alpha", 0.2), try node.float("beta", 0.5))
    if abs(alpha - 1 / 6) < 1e-7, beta == 0.5 { return try activation(node, .hardSigmoid) }
    var y = try apply(.multiply, try ordered(node), alpha, node.label)
    y = try apply(.add, y, beta, node.label)
    return [.graph(try apply(.activation(.clip(low: 0, high: 1)), y, node.label))]
  }

  func gelu(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    switch try node.string("approximate", "none") {
    case "none": try activation(node, .gelu(.exact))
    case "tanh": try activation(node, .gelu(.tanh))
    case let other: throw node.unsupported("approximate none or tanh", found: other)
    }
  }

  /// min(max(x, low), high); the bounds are attributes up to version 6 of the operators, operands later.
  func clip(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    var bounds: [Float?] = [try node.float("min"), try node.float("max")]
    var operands: [ImportedValue?] = [nil, nil]
    for k in 0..<2 {
      switch node.optional(k + 1) {
      case nil: continue
      case .constant(let tensor, _)?: bounds[k] = try tensor.number(at: node.place)
      case let value?: operands[k] = value
      }
    }
    if case .constant(let tensor, _) = try node.input(0), tensor.elementType == .int64 {
      var list = try tensor.integers(at: node.place)
      if let low = bounds[0] { list = list.map { max($0, Int(low)) } }
      if let high = bounds[1] { list = list.map { min($0, Int(high)) } }
      return [.constant(HostTensor(integers: list.map(Extent.fixed), tensor.extents), name: nil)]
    }
    if operands[0] == nil, operands[1] == nil {
      let (low, high) = (bounds[0] ?? -.infinity, bounds[1] ?? .infinity)
      if low <= high {
        return low == 0 && high == .infinity
          ? try activation(node, .relu) : try activation(node, .clip(low: low, high: high))
      }
    }
    var y = try ordered(node)
    for (k, operation) in [Arithmetic.maximum, .minimum].enumerated() {
      if let operand = operands[k] {
        y = try combine(operation, .graph(y), operand, node.label)
      } else if let bound = bounds[k] {
        y = try apply(operation, y, bound, node.label)
      }
    }
    return [.graph(y)]
  }

  /// x for x > 0, otherwise slope·x; the slope is one number, one for each channel, or broadcast.
  func parametricReLU(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let x = try ordered(node)
    var slope = try node.input(1)
    if node.version < 7, x.order.count > 2, case .constant(let vector, let name) = slope,
      vector.rank == 1
    {
      // Before version 7 of the operators, a vector was one of channels.
      let ones = [Int](repeating: 1, count: x.order.count - 2)
      slope = .constant(vector.reshaped(vector.extents + ones), name: name)
    }
    let rank = x.order.count
    let extents =
      [Extent](repeating: 1, count: max(0, rank - extents(slope).count))
      + self.extents(slope)
    let isChannels =
      rank >= 2 && extents.count == rank
      && extents.indices.allSatisfy { $0 == 1 || extents[$0] == 1 }
      && (extents[1] == self.extents(x)[1])
    if isChannels {
      let order = AxisOrder.channelsLast(rank)
      let channels = try aligned(slope, with: order, node.label)
      let vector = try reshape(channels, [extents[1]], node.label)
      let input = try stored(x, order, label: node.label)
      return [channelsLastResult(try append(.parametricReLU, [input, vector], node.label))]
    }
    let above = try apply(.activation(.relu), x, node.label)
    let below = try combine(
      .multiply, .graph(try apply(.minimum, x, 0, node.label)), slope, node.label)
    return [.graph(try combine(.add, .graph(above), .graph(below), node.label))]
  }

  /// x·tanh(softplus x).
  func mish(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let x = try ordered(node)
    let gate = try apply(
      .activation(.tanh), try apply(.activation(.softplus), x, node.label), node.label)
    return [.graph(try combine(.multiply, .graph(x), .graph(gate), node.label))]
  }

  /// x·σ(αx).
  func swish(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let alpha = try node.float("alpha", 1)
    if alpha == 1 { return try activation(node, .silu) }
    let x = try ordered(node)
    let gate = try apply(
      .activation(.sigmoid), try apply(.multiply, x, alpha, node.label), node.label)
    return [.graph(try combine(.multiply, .graph(x), .graph(gate), node.label))]
  }

  /// x/(1 + |x|).
  func softsign(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let x = try ordered(node)
    let size = try apply(.elementwise(.absolute), x, node.label)
    let divisor = try apply(.add, size, 1, node.label)
    return [.graph(try combine(.divide, .graph(x), .graph(divisor), node.label))]
  }

  /// x itself: there is no dropout in inference.
  func dropout(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    node.ignore("ratio", "seed")
    if node.version < 7 { node.ignore("is_test") }
    if let training = try node.optionalConstant(2, "training_mode"),
      try training.number(at: node.place) != 0
    {
      throw node.unsupported("dropout in inference", found: "training_mode")
    }
    let x = try node.input(0)
    guard node.hasOutput(1) else { return [x] }
    // Nothing is left out.
    let known = extents(x).compactMap(\.fixedValue)
    guard known.count == extents(x).count else {
      throw node.unsupported("known extents for the mask", found: "\(extents(x))")
    }
    let count = try HostTensor.checkedCount(known, at: node.place)
    let mask = HostTensor(booleans: [Bool](repeating: true, count: count), known)
    return [x, .constant(mask, name: nil)]
  }
}
