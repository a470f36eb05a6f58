import KeelTensor

extension OperandCheck {
  func pooling(_ geometry: PoolingGeometry) throws(KeelError) -> ValueType {
    try count(1)
    try image(0, like: geometry.inputShape(batch: 1), "input")
    return image(geometry.outputShape(batch: 1))
  }

  func poolingWithIndices(_ geometry: PoolingGeometry) throws(KeelError) -> [ValueType] {
    guard geometry.kind == .maximum else {
      throw fail("a window of maxima", found: geometry.kind.name)
    }
    let y = try pooling(geometry)
    return [y, ValueType(.int64, y.extents)]
  }

  func poolingGradient(_ geometry: PoolingGeometry) throws(KeelError) -> ValueType {
    let operands =
      switch geometry.kind {
      case .average: 1
      case .maximum: 2
      case .l2: 3
      }
    try count(operands)
    try image(0, like: geometry.outputShape(batch: 1), "gradient")
    if operands > 1 {
      try image(1, like: geometry.inputShape(batch: 1), "input")
      try sameBatch()
    }
    if operands > 2 { try equal(2, inputs[0], "forward result") }
    return image(geometry.inputShape(batch: 1))
  }

  func globalPooling() throws(KeelError) -> ValueType {
    try count(1)
    try floats(0, "input")
    let extents = inputs[0].extents
    try require((3...5).contains(extents.count), 0, "N×L×C, N×H×W×C or N×D×H×W×C")
    return ValueType([extents[0], extents[extents.count - 1]])
  }

  func globalPoolingGradient(_ extents: [Int]) throws(KeelError) -> ValueType {
    try count(1)
    let dy = try matrix(0, "gradient")
    guard (1...3).contains(extents.count) else {
      throw fail("1 to 3 spatial axes", found: "\(extents.count)")
    }
    let result = ValueType([dy.extents[0]] + extents.map(Extent.fixed) + [dy.extents[1]])
    try positive(result)
    return result
  }
}
