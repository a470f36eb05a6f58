import KeelTensor

extension OperandCheck {
  func normalization(_ normalization: Normalization) throws(KeelError) -> [ValueType] {
    let at = NormalizationOperands(normalization)
    try Normalization.checkActivation(normalization.epilogue, at: place)
    try count(at.count)
    let cells = try normalizedCells(0, normalization)
    try statistics(
      of: inputs[0], cells, normalization, labels: at.labels, moments: at.moments, mean: at.mean,
      variance: at.variance, scale: at.scale, shift: at.shift)
    if let index = at.residual { try equal(index, inputs[0], "residual") }
    return normalization.statistics == .current ? [inputs[0], table(cells)] : [inputs[0]]
  }

  func normalizationGradient(_ normalization: Normalization) throws(KeelError) -> [ValueType] {
    let at = NormalizationGradientOperands(normalization)
    try Normalization.checkActivation(normalization.epilogue, at: place)
    try count(at.count)
    let cells = try normalizedCells(1, normalization)
    try equal(0, inputs[1], "gradient")
    try statistics(
      of: inputs[1], cells, normalization, labels: at.labels, moments: at.moments, mean: at.mean,
      variance: at.variance, scale: at.scale, shift: at.shift)
    if let index = at.output { try equal(index, inputs[1], "forward result") }
    var results = [inputs[1]]
    for index in [at.scale, at.shift] {
      if let index { results.append(inputs[index]) }
    }
    if at.dResidual != nil { results.append(inputs[1]) }
    if at.dMoments != nil { results.append(table(cells)) }
    return results
  }

  /// The operands that a normalization and its gradient have in common.
  private func statistics(
    of x: ValueType, _ cells: [Extent], _ normalization: Normalization, labels: Int?,
    moments: Int?, mean: Int?, variance: Int?, scale: Int?, shift: Int?
  ) throws(KeelError) {
    if let index = labels { try self.labels(index, of: x) }
    if let index = moments { try equal(index, table(cells), "moments") }
    if let index = mean { try equal(index, ValueType(cells), "mean") }
    if let index = variance { try equal(index, ValueType(cells), "variance") }
    let affine = ValueType(normalization.recovery.operandExtents(of: x.extents))
    if let index = scale { try equal(index, affine, "scale") }
    if let index = shift { try equal(index, affine, "shift") }
  }

  /// The extents of the cells of the operand that is normalized.
  private func normalizedCells(_ index: Int, _ normalization: Normalization) throws(KeelError)
    -> [Extent]
  {
    let cells = try self.cells(of: index, normalization.partition)
    guard normalization.statistics == .current, normalization.operation.needsSeveralValues else {
      return cells
    }
    if let count = elementsPerCell(inputs[index], normalization.partition), count <= 1 {
      throw fail(
        "more than one value per \(normalization.partition.cellName)", found: "\(inputs[index])")
    }
    return cells
  }

  /// The elements of the largest cell where they are known.
  private func elementsPerCell(_ x: ValueType, _ partition: Partition) -> Int? {
    let rows = x.extents.dropLast().enumerated()
    let sharing: [Extent] =
      switch partition.rows {
      case .all, .shards, .labels: rows.map(\.element)
      case .sample: rows.filter { $0.offset > 0 }.map(\.element)
      case .position: []
      case .axes(let axes): rows.filter { !axes.contains($0.offset) }.map(\.element)
      }
    let channels = x.channelCount.map { $0 / partition.channelCells(of: $0) }
    return sharing.reduce(channels) { product, extent in
      guard let product, let count = extent.fixedValue else { return nil }
      return product * count
    }
  }

  /// The extents of the cells that a partition cuts an operand into.
  private func cells(of index: Int, _ partition: Partition) throws(KeelError) -> [Extent] {
    try partition.validate(at: place)
    try floats(index, "input")
    guard inputs[index].rank >= 2, let channels = inputs[index].channelCount, channels >= 1 else {
      throw fail("input of rows×channels", found: inputs[index].description)
    }
    if case .groups(let groups) = partition.channels, channels % groups != 0 {
      throw fail("channels in \(groups) equal groups", found: inputs[index].description)
    }
    if case .axes(let axes) = partition.rows, axes.last! >= inputs[index].rank - 1 {
      throw fail("axes \(axes) before that of the channels", found: inputs[index].description)
    }
    if case .shards(let shards) = partition.rows, let batch = inputs[index].extents[0].fixedValue,
      batch < shards
    {
      throw fail("a sample for each of \(shards) shards", found: inputs[index].description)
    }
    return partition.cellExtents(of: inputs[index].extents, channels: channels) { .fixed($0) }
  }

  /// The table of the moments of a value's channels.
  func momentsTable(of y: ValueType) -> ValueType {
    table([y.extents[y.rank - 1]])
  }

  private func table(_ cells: [Extent]) -> ValueType {
    ValueType([.fixed(MomentsLayout.rows)] + cells)
  }

  /// Labels or weights of samples or of positions.
  private func perRow(_ index: Int, _ type: ElementType, of x: ValueType, _ what: String)
    throws(KeelError)
  {
    let positions = ValueType(type, Array(x.extents.dropLast()))
    guard inputs[index] == positions || inputs[index] == ValueType(type, [x.extents[0]]) else {
      throw fail(
        "\(what) \(positions), or one per sample", found: inputs[index].description)
    }
  }

  private func labels(_ index: Int, of x: ValueType) throws(KeelError) {
    try perRow(index, .int64, of: x, "labels")
  }

  func moments(_ partition: Partition, isWeighted: Bool) throws(KeelError) -> [ValueType] {
    let at = MomentsOperands(partition, isWeighted: isWeighted)
    try count(at.count)
    let cells = try self.cells(of: 0, partition)
    if let index = at.labels { try labels(index, of: inputs[0]) }
    if let index = at.weights { try perRow(index, .float32, of: inputs[0], "weights") }
    return [table(cells)]
  }

  func momentsGradient(_ partition: Partition, isWeighted: Bool) throws(KeelError) -> [ValueType] {
    let at = MomentsGradientOperands(partition, isWeighted: isWeighted)
    try count(at.count)
    let table = table(try cells(of: 1, partition))
    try equal(0, table, "gradient")
    try equal(2, table, "moments")
    if let index = at.labels { try labels(index, of: inputs[1]) }
    if let index = at.weights { try perRow(index, .float32, of: inputs[1], "weights") }
    return [inputs[1]]
  }

  func mixedMoments(_ mixture: MomentsMixture) throws(KeelError) -> ValueType {
    try mixture.validate(at: place)
    try count(mixture.operandCount)
    return try mixed(mixture, from: 0)
  }

  func mixedMomentsGradient(_ mixture: MomentsMixture) throws(KeelError) -> [ValueType] {
    try mixture.validate(at: place)
    try count(1 + mixture.operandCount)
    let result = try mixed(mixture, from: 1)
    try equal(0, result, "gradient")
    return Array(inputs.dropFirst())
  }

  /// Tables broadcast against each other, and weights of K, or K×C for cells per channel.
  private func mixed(_ mixture: MomentsMixture, from first: Int) throws(KeelError) -> ValueType {
    var cells: [Extent] = []
    for index in first..<first + mixture.count {
      try floats(index, "moments")
      let extents = inputs[index].extents
      guard extents.count >= 2, extents[0] == .fixed(MomentsLayout.rows) else {
        throw fail("moments of cells", found: inputs[index].description)
      }
      guard let both = Self.broadcast(cells, Array(extents.dropFirst())) else {
        throw fail("moments that broadcast to \(ValueType(cells))", found: "\(inputs[index])")
      }
      cells = both
    }
    for index in first + mixture.count..<first + mixture.operandCount {
      let each = ValueType([.fixed(mixture.count)])
      let perChannel = ValueType([.fixed(mixture.count), cells.last!])
      guard inputs[index] == each || inputs[index] == perChannel else {
        throw fail("weights \(each) or \(perChannel)", found: inputs[index].description)
      }
    }
    return table(cells)
  }

  private static func broadcast(_ a: [Extent], _ b: [Extent]) -> [Extent]? {
    let rank = max(a.count, b.count)
    var result: [Extent] = []
    for k in (0..<rank).reversed() {
      let (i, j) = (k - (rank - a.count), k - (rank - b.count))
      let (p, q) = (i >= 0 ? a[i] : .fixed(1), j >= 0 ? b[j] : .fixed(1))
      guard p == q || p == .fixed(1) || q == .fixed(1) else { return nil }
      result.insert(p == .fixed(1) ? q : p, at: 0)
    }
    return result
  }

  func runningStatistics(_ average: RunningAverage) throws(KeelError) -> [ValueType] {
    try average.validate(at: place)
    try count(average == .cumulative ? 4 : 3)
    try floats(0, "moments")
    try require(
      inputs[0].rank >= 2 && inputs[0].extents[0] == .fixed(MomentsLayout.rows), 0, "moments")
    let cells = ValueType(Array(inputs[0].extents.dropFirst()))
    try equal(1, cells, "running mean")
    try equal(2, cells, "running variance")
    guard average == .cumulative else { return [cells, cells] }
    try equal(3, cells, "number of batches per cell")
    return [cells, cells, cells]
  }
}
