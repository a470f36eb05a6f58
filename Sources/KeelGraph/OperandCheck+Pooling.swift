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
}
