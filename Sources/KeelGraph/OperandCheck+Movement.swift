import KeelTensor

/// The checks of operations that move elements.
extension OperandCheck {
  func selection() throws(KeelError) -> ValueType {
    try count(2)
    try floats(0, "table")
    try require(
      inputs[0].rank >= 1 && inputs[0].extents[0].fixedValue != nil, 0, "table of known rows")
    try indices(1)
    return ValueType(inputs[1].extents + inputs[0].extents.dropFirst())
  }

  func selectionGradient(rows: Int) throws(KeelError) -> ValueType {
    try count(2)
    try floats(0, "gradient")
    try indices(1)
    let leading = inputs[1].extents
    try require(
      Array(inputs[0].extents.prefix(leading.count)) == leading, 0, "gradient of \(inputs[1])")
    let result = ValueType([.fixed(rows)] + inputs[0].extents.dropFirst(leading.count))
    try positive(result)
    return result
  }

  private func indices(_ index: Int) throws(KeelError) {
    try require(inputs[index].elementType == .int64, index, "int64 indices")
  }

  func movement(_ movement: Movement) throws(KeelError) -> ValueType {
    try count(1)
    try floatsOrIntegers(0, "input")
    if inputs[0].elementType == .int64, !movement.copies {
      throw fail(
        "a float32 input (only copies and zeros leave integers whole)", found: "\(inputs[0])")
    }
    return try moved(movement, inputs[0])
  }

  func movementGradient(_ movement: Movement, _ extents: [Extent]) throws(KeelError) -> ValueType {
    try count(1)
    try floats(0, "gradient")
    try positive(ValueType(extents))
    try equal(0, try moved(movement, ValueType(extents)), "gradient")
    return ValueType(extents)
  }

  private func moved(_ movement: Movement, _ type: ValueType) throws(KeelError) -> ValueType {
    guard movement.axes.count == type.rank else {
      throw fail("input of \(movement.axes.count) axes", found: type.description)
    }
    var extents: [Extent] = []
    for (axis, extent) in type.extents.enumerated() {
      if movement.axes[axis] == .whole {
        extents.append(extent)
        continue
      }
      guard let input = extent.fixedValue else {
        throw fail("a known extent on axis \(axis)", found: type.description)
      }
      extents.append(.fixed(try movement.extent(ofAxis: axis, input: input, place: place)))
    }
    if movement.name == "pad", movement.fill != 0, movement.axes.contains(where: \.isResize) {
      throw fail("zeros around what is resized", found: "\(movement.fill)")
    }
    return ValueType(type.elementType, extents)
  }

  private func floatsOrIntegers(_ index: Int, _ what: String) throws(KeelError) {
    guard inputs[index].elementType != .bool else {
      throw fail("a float32 or int64 \(what)", found: inputs[index].description)
    }
  }

  func concatenation(_ axis: Int) throws(KeelError) -> ValueType {
    guard let first = inputs.first else { throw fail("at least 1 operand", found: "none") }
    try floatsOrIntegers(0, "operand")
    guard axis >= 0, axis < first.rank else {
      throw fail("an axis from 0 to \(first.rank - 1) of \(first)", found: "axis \(axis)")
    }
    if inputs.count == 1 { return first }
    var total = 0
    for (position, input) in inputs.enumerated() {
      guard input.elementType == first.elementType else {
        throw fail("operand \(position) of \(first.elementType.rawValue)", found: "\(input)")
      }
      var like = first.extents
      if input.rank == first.rank { like[axis] = input.extents[axis] }
      guard input.extents == like else {
        throw fail(
          "operand \(position) like \(first) but on axis \(axis)", found: input.description)
      }
      guard let extent = input.extents[axis].fixedValue else {
        throw fail("known extents on axis \(axis)", found: input.description)
      }
      total += extent
    }
    var extents = first.extents
    extents[axis] = .fixed(total)
    return ValueType(first.elementType, extents)
  }

  func transpose(_ permutation: [Int]) throws(KeelError) -> ValueType {
    try count(1)
    try floatsOrIntegers(0, "input")
    let rank = inputs[0].rank
    guard permutation.sorted() == Array(0..<rank) else {
      throw fail("a permutation of the axes of \(inputs[0])", found: "\(permutation)")
    }
    return ValueType(inputs[0].elementType, permutation.map { inputs[0].extents[$0] })
  }
}

extension AxisMovement {
  fileprivate var isResize: Bool {
    if case .resize = self { true } else { false }
  }
}
