import KeelTensor

extension OperandCheck {
  /// The extents of the cells that blocks cut an operand into, by channels.
  private func cells(of index: Int, _ blocks: ChannelBlocks) throws(KeelError) -> [Extent] {
    try blocks.validate(at: place)
    try floats(index, "input")
    guard inputs[index].rank >= 2, let channels = inputs[index].channelCount else {
      throw fail("input of rows×channels", found: inputs[index].description)
    }
    guard channels >= blocks.size else {
      throw fail("at least \(blocks.size) channels", found: inputs[index].description)
    }
    return blocks.cellExtents(of: inputs[index].extents)
  }

  private func table(_ rows: Int, _ cells: [Extent]) -> ValueType {
    ValueType([.fixed(rows)] + cells)
  }

  private func comomentsTable(_ blocks: ChannelBlocks, _ cells: [Extent]) -> ValueType {
    table(ComomentsLayout.rows(of: blocks.size), cells)
  }

  func comoments(_ blocks: ChannelBlocks) throws(KeelError) -> [ValueType] {
    try count(1)
    return [comomentsTable(blocks, try cells(of: 0, blocks))]
  }

  func comomentsGradient(
    _ blocks: ChannelBlocks, residual: ComomentsResidual
  ) throws(KeelError) -> [ValueType] {
    try count(3 + residual.operandCount)
    let cells = try cells(of: 1, blocks)
    let table = comomentsTable(blocks, cells)
    try equal(0, table, "gradient")
    try equal(2, table, "co-moments")
    if residual != .none { try equal(3, inputs[1], residual == .mapped ? "dy" : "residual") }
    if residual == .mapped { try equal(4, self.table(blocks.size, cells), "matrix") }
    return [inputs[1]]
  }

  /// The extents of the cells of a table of co-moments.
  private func cells(ofTable index: Int, _ blocks: ChannelBlocks) throws(KeelError) -> [Extent] {
    try blocks.validate(at: place)
    try floats(index, "co-moments")
    let type = inputs[index]
    guard type.rank == (blocks.rows == .all ? 2 : 3), let channels = type.channelCount,
      channels >= blocks.size, type.extents[0] == .fixed(ComomentsLayout.rows(of: blocks.size))
    else {
      let cells = blocks.rows == .all ? "C" : "N×C"
      throw fail(
        "co-moments \(ComomentsLayout.rows(of: blocks.size))×\(cells) of blocks of \(blocks.size) channels",
        found: type.description)
    }
    return Array(type.extents.dropFirst())
  }

  func whitening(_ rule: Whitening, _ blocks: ChannelBlocks) throws(KeelError) -> [ValueType] {
    try count(1)
    let cells = try cells(ofTable: 0, blocks)
    let matrix = table(blocks.size, cells)
    return rule.hasFactor ? [matrix, table(blocks.size + 1, cells)] : [matrix]
  }

  func whiteningGradient(
    _ rule: Whitening, _ blocks: ChannelBlocks
  ) throws(KeelError) -> [ValueType] {
    try count(rule.hasFactor ? 4 : 3)
    let cells = try cells(ofTable: 1, blocks)
    try equal(0, table(blocks.size, cells), "gradient")
    try equal(2, table(blocks.size, cells), "matrix")
    if rule.hasFactor { try equal(3, table(blocks.size + 1, cells), "factor") }
    return [inputs[1]]
  }

  func blockMap(_ map: BlockMap) throws(KeelError) -> [ValueType] {
    try count(map.operandCount)
    let cells = try cells(of: 0, map.blocks)
    try mapOperands(map, cells, from: 0)
    if let index = map.shiftOperand {
      try equal(index, shiftType(map, cells), "shift")
    }
    return [inputs[0]]
  }

  func blockMapGradient(_ map: BlockMap, makesInput: Bool) throws(KeelError) -> [ValueType] {
    try count(1 + map.matrixOperand + 1)
    let cells = try cells(of: 1, map.blocks)
    try equal(0, inputs[1], "gradient")
    try mapOperands(map, cells, from: 1)
    var results = makesInput ? [inputs[1]] : []
    if map.centers { results.append(table(2, cells)) }
    results.append(table(map.blocks.size, cells))
    if map.shift != .none { results.append(shiftType(map, cells)) }
    return results
  }

  private func mapOperands(_ map: BlockMap, _ cells: [Extent], from first: Int) throws(KeelError) {
    if map.centers { try equal(first + 1, table(2, cells), "centre") }
    try equal(first + map.matrixOperand, table(map.blocks.size, cells), "matrix")
  }

  private func shiftType(_ map: BlockMap, _ cells: [Extent]) -> ValueType {
    ValueType(map.shift == .channels ? [cells.last!] : cells)
  }

  func runningComoments(
    _ momentum: Float, hasCovariance: Bool
  ) throws(KeelError) -> [ValueType] {
    try RunningAverage.momentum(momentum).validate(at: place)
    try count(hasCovariance ? 3 : 2)
    try floats(0, "co-moments")
    let type = inputs[0]
    guard type.rank == 2, let rows = type.extents[0].fixedValue,
      rows > ComomentsLayout.products, (rows - ComomentsLayout.products).isMultiple(of: 2)
    else {
      throw fail("co-moments of all rows, (3 + 2·d)×C", found: type.description)
    }
    let channels = type.extents[1]
    try equal(1, ValueType([channels]), "running mean")
    guard hasCovariance else { return [inputs[1]] }
    let size = (rows - ComomentsLayout.products) / 2
    try equal(2, ValueType([.fixed(size), channels]), "running covariance")
    return [inputs[1], inputs[2]]
  }

  func movingAverage(_ momentum: Float) throws(KeelError) -> [ValueType] {
    try RunningAverage.momentum(momentum).validate(at: place)
    return [try pair()]
  }
}
