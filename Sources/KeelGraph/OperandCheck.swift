import KeelTensor

/// The checks behind shape inference; every failure names layer, expected and found.
internal struct OperandCheck {
  let primitive: Primitive
  let inputs: [ValueType]
  let place: String

  func fail(_ expected: String, found: String) -> KeelError {
    KeelError(.shape, at: place, expected: "\(expected) for \(primitive.name)", found: found)
  }

  func count(_ expected: Int) throws(KeelError) {
    guard inputs.count == expected else {
      throw fail("\(expected) operands", found: "\(inputs.count)")
    }
  }

  func require(_ condition: Bool, _ index: Int, _ expected: String) throws(KeelError) {
    guard condition else { throw fail(expected, found: inputs[index].description) }
  }

  func floats(_ index: Int, _ what: String) throws(KeelError) {
    guard inputs[index].elementType == .float32 else {
      throw fail("a float32 \(what)", found: inputs[index].description)
    }
  }

  func equal(_ index: Int, _ type: ValueType, _ what: String) throws(KeelError) {
    guard inputs[index] == type else {
      throw fail("\(what) \(type)", found: inputs[index].description)
    }
  }

  func matrix(_ index: Int, _ what: String) throws(KeelError) -> ValueType {
    try floats(index, what)
    try require(inputs[index].rank == 2, index, "\(what) of rows×columns")
    return inputs[index]
  }

  /// Checks an image operand against a shape whose batch extent is of no account.
  func image(_ index: Int, like shape: Shape, _ what: String) throws(KeelError) {
    try floats(index, what)
    let expected = image(shape, batch: inputs[index].extents.first ?? .batch)
    guard inputs[index] == expected else {
      throw fail("\(what) \(expected)", found: inputs[index].description)
    }
  }

  /// Checks that two image operands have one batch extent.
  func sameBatch() throws(KeelError) {
    try require(inputs[0].extents[0] == inputs[1].extents[0], 1, "batch \(inputs[0].extents[0])")
  }

  /// Checks the extents of a result that the operation itself names.
  func positive(_ result: ValueType) throws(KeelError) {
    guard result.extents.allSatisfy({ ($0.fixedValue ?? 1) >= 1 }) else {
      throw fail("extents of at least 1", found: result.description)
    }
  }

  /// The type of an image result, with the first operand's batch extent.
  func image(_ shape: Shape) -> ValueType { image(shape, batch: inputs[0].extents[0]) }

  private func image(_ shape: Shape, batch: Extent) -> ValueType {
    ValueType([batch] + shape.extents.dropFirst().map(Extent.fixed))
  }

  /// The type that two float operands share.
  func pair() throws(KeelError) -> ValueType {
    try count(2)
    try floats(0, "first operand")
    try equal(1, inputs[0], "second operand")
    return inputs[0]
  }

  private func epilogue(
    _ epilogue: Epilogue, from first: Int, result: ValueType, channels: Extent
  ) throws(KeelError) {
    try epilogue.activation?.validate(at: place)
    var next = first
    if epilogue.hasBias {
      try equal(next, ValueType([channels]), "bias")
      next += 1
    }
    if epilogue.hasResidual { try equal(next, result, "residual") }
  }

  func convolution(_ geometry: ConvolutionGeometry, _ end: Epilogue) throws(KeelError) -> ValueType
  {
    try product(
      from: geometry.inputShape(batch: 1), weight: geometry.weightShape,
      to: geometry.outputShape(batch: 1), end)
  }

  func transposedConvolution(
    _ geometry: ConvolutionGeometry, _ end: Epilogue
  ) throws(KeelError) -> ValueType {
    try product(
      from: geometry.outputShape(batch: 1), weight: geometry.weightShape,
      to: geometry.inputShape(batch: 1), end)
  }

  /// Input, weight and the operands of an epilogue.
  private func product(
    from input: Shape, weight: Shape, to output: Shape, _ end: Epilogue
  ) throws(KeelError) -> ValueType {
    try count(2 + (end.hasBias ? 1 : 0) + (end.hasResidual ? 1 : 0))
    try image(0, like: input, "input")
    try equal(1, ValueType(shape: weight), "weight")
    let result = image(output)
    try epilogue(end, from: 2, result: result, channels: .fixed(output.channelCount))
    return result
  }

  func linear(_ end: Epilogue) throws(KeelError) -> ValueType {
    try count(2 + (end.hasBias ? 1 : 0) + (end.hasResidual ? 1 : 0))
    let (x, weight) = try (matrix(0, "input"), matrix(1, "weight"))
    guard x.extents[1] == weight.extents[1], weight.extents[0].fixedValue != nil else {
      throw fail("input with \(weight.extents[1]) columns", found: x.description)
    }
    let result = ValueType([x.extents[0], weight.extents[0]])
    try epilogue(end, from: 2, result: result, channels: weight.extents[0])
    return result
  }

  func reshape(_ extents: [Extent]) throws(KeelError) -> ValueType {
    try count(1)
    func split(_ extents: [Extent]) -> (Int, [String]) {
      var (product, symbols): (Int, [String]) = (1, [])
      for extent in extents {
        switch extent {
        case .fixed(let value): product *= value
        case .symbol(let name): symbols.append(name)
        }
      }
      return (product, symbols.sorted())
    }
    let result = ValueType(inputs[0].elementType, extents)
    try positive(result)
    guard split(extents) == split(inputs[0].extents) else {
      throw fail("as many elements as in \(inputs[0])", found: result.description)
    }
    return result
  }
}
