import KeelTensor

extension Primitive {
  /// (a, b) → a + b: what joins residual branches and the gradients of a value with several consumers.
  public static let add = Primitive.arithmetic(.add)
}

extension Array<Extent> {
  /// The extents of two operands broadcast against each other, or nil where they do not fit: aligned at the
  /// last axis, an extent of 1 or none takes the other's.
  public func broadcast(with other: [Extent]) -> [Extent]? {
    let rank = Swift.max(count, other.count)
    var result: [Extent] = []
    for axis in 0..<rank {
      let (i, j) = (axis - (rank - count), axis - (rank - other.count))
      let (a, b) = (i < 0 ? 1 : self[i], j < 0 ? 1 : other[j])
      guard a == b || a == 1 || b == 1 else { return nil }
      result.append(a == 1 ? b : a)
    }
    return result
  }
}

extension OperandCheck {
  /// The type of the one float operand.
  func one() throws(KeelError) -> ValueType {
    try count(1)
    try floats(0, "operand")
    return inputs[0]
  }

  func arithmetic() throws(KeelError) -> ValueType {
    try count(2)
    return try broadcast(0, 1)
  }

  func constant(_ value: TensorValue) throws(KeelError) -> ValueType {
    try count(0)
    guard value.elementType != .float32 else {
      throw fail("integers or truth values", found: "float32 \(value.shape)")
    }
    let type = ValueType(value.elementType, shape: value.shape)
    try positive(type)
    return type
  }

  func choice() throws(KeelError) -> ValueType {
    try count(3)
    try floats(1, "first choice")
    try equal(2, inputs[1], "second choice")
    guard inputs[0].elementType != .int64,
      inputs[1].extents.broadcast(with: inputs[0].extents) == inputs[1].extents
    else {
      throw fail(
        "condition of truth values or floats that is broadcast to \(inputs[1])",
        found: "\(inputs[0])")
    }
    return inputs[1]
  }

  private func broadcast(_ first: Int, _ second: Int) throws(KeelError) -> ValueType {
    try floats(first, "first operand")
    try floats(second, "second operand")
    guard let extents = inputs[first].extents.broadcast(with: inputs[second].extents) else {
      throw fail(
        "second operand that broadcasts with \(inputs[first])", found: "\(inputs[second])")
    }
    return ValueType(extents)
  }

  func arithmeticGradient() throws(KeelError) -> ValueType {
    try count(3)
    let result = try broadcast(1, 2)
    try equal(0, result, "gradient")
    return result
  }

  func reduction(_ reduction: Reduction) throws(KeelError) -> ValueType {
    let type = try one()
    return ValueType(try reduced(type, reduction))
  }

  /// The extents after a reduction.
  private func reduced(_ type: ValueType, _ reduction: Reduction) throws(KeelError) -> [Extent] {
    let axes = Set(reduction.axes)
    guard !axes.isEmpty, axes.count == reduction.axes.count,
      axes.allSatisfy({ type.extents.indices.contains($0) })
    else {
      throw fail(
        "at least one axis, each once, of \(type)", found: "axes \(reduction.axes)")
    }
    var result: [Extent] = []
    for (axis, extent) in type.extents.enumerated() {
      if !axes.contains(axis) {
        result.append(extent)
      } else if reduction.keepsAxes {
        result.append(1)
      }
    }
    return result
  }

  func extremeGradient(_ reduction: Reduction) throws(KeelError) -> ValueType {
    guard reduction.kind == .maximum || reduction.kind == .minimum else {
      throw fail("a maximum or minimum", found: reduction.kind.name)
    }
    try count(2)
    try floats(1, "input")
    try equal(0, ValueType(try reduced(inputs[1], reduction)), "gradient")
    return inputs[1]
  }

  func expand(_ extents: [Extent]) throws(KeelError) -> ValueType {
    let type = try one()
    let result = ValueType(extents)
    try positive(result)
    guard type.extents.broadcast(with: extents) == extents else {
      throw fail("an operand that broadcasts to \(result)", found: "\(type)")
    }
    return result
  }

  func parametricReLU() throws(KeelError) -> ValueType {
    try count(2)
    try slope(of: 0, 1)
    return inputs[0]
  }

  func parametricReLUGradient() throws(KeelError) -> [ValueType] {
    try count(3)
    try slope(of: 1, 2)
    try equal(0, inputs[1], "gradient")
    return [inputs[1], inputs[2]]
  }

  private func slope(of x: Int, _ slope: Int) throws(KeelError) {
    try floats(x, "input")
    guard let channels = inputs[x].channelCount else {
      throw fail("input of known channels", found: "\(inputs[x])")
    }
    guard inputs[slope] == ValueType([1]) || inputs[slope] == ValueType([.fixed(channels)]) else {
      throw fail("slope of 1 or \(channels) elements", found: "\(inputs[slope])")
    }
  }

  func dropout(_ dropout: DropoutMask) throws(KeelError) -> ValueType {
    guard dropout.probability >= 0, dropout.probability <= 1 else {
      throw KeelError(
        .argument, at: place, expected: "a probability from 0 to 1",
        found: "\(dropout.probability)")
    }
    try count(2)
    try floats(0, "input")
    try equal(1, ValueType(.int64, []), "seed")
    if dropout.unit == .channel {
      try require(inputs[0].rank >= 2, 0, "input of at least samples×channels")
    }
    return inputs[0]
  }
}
