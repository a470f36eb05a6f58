internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// A normalization: the moments of the cells where they are wanted, then the apply pass.
internal struct NormalizationStep: PreparedKernel {
  private let normalization: Normalization
  private let kernel: NormalizationKernel
  private let at: NormalizationOperands
  private let labels: LabelCheck?
  private let place: String
  let scratchCount: Int

  init(_ request: KernelRequest, _ normalization: Normalization) throws(KeelError) {
    self.normalization = normalization
    at = NormalizationOperands(normalization)
    place = request.node.label
    labels = LabelCheck(request, normalization.partition, at.labels, of: 0)
    try checkCells(request, normalization, of: 0)
    kernel = NormalizationKernel(
      normalization, of: request.inputs[0], labelsPerPosition: labels?.isPerPosition ?? false,
      inputStride: request.inputStrides[0], outputStride: request.outputStrides[0],
      residualStride: at.residual.flatMap { request.inputStrides[$0] })
    scratchCount = kernel.scratchCount(request.parallelism)
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) throws(KeelError) {
    try labels?.check(operands)
    kernel.run(
      operands.floats(0), given: given(operands), recovery: recovery(operands),
      residual: operands.floats(at.residual), into: operands.result(0),
      newMoments: normalization.statistics == .current ? operands.result(1) : nil,
      scratch: operands.scratch, parallelism: parallelism)
    if normalization.statistics == .current {
      try checkCounts(
        operands.result(1), kernel.cellCount, normalization, at: place)
    }
  }

  private func given(_ operands: Operands) -> CellStatistics? {
    if let moments = operands.floats(at.moments) { return .moments(moments) }
    guard let mean = at.mean, let variance = at.variance else { return nil }
    return .given(mean: operands.floats(mean), variance: operands.floats(variance))
  }

  private func recovery(_ operands: Operands) -> RecoveryOperands {
    RecoveryOperands(
      scale: operands.floats(at.scale), shift: operands.floats(at.shift),
      labels: at.labels.map { operands.integers($0) })
  }
}

/// The gradient of a normalization.
internal struct NormalizationGradientStep: PreparedKernel {
  private let kernel: NormalizationKernel
  private let at: NormalizationGradientOperands
  private let labels: LabelCheck?
  let scratchCount: Int

  init(_ request: KernelRequest, _ normalization: Normalization) throws(KeelError) {
    at = NormalizationGradientOperands(normalization)
    labels = LabelCheck(request, normalization.partition, at.labels, of: 1)
    try checkCells(request, normalization, of: 1)
    kernel = NormalizationKernel(
      normalization, of: request.inputs[1], labelsPerPosition: labels?.isPerPosition ?? false)
    scratchCount = kernel.gradientScratchCount(request.parallelism)
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) throws(KeelError) {
    try labels?.check(operands)
    let statistics: CellStatistics =
      if let moments = at.moments {
        .moments(operands.floats(moments))
      } else {
        .given(mean: operands.floats(at.mean!), variance: operands.floats(at.variance!))
      }
    kernel.gradient(
      operands.floats(0), x: operands.floats(1), y: operands.floats(at.output),
      statistics: statistics,
      recovery: RecoveryOperands(
        scale: operands.floats(at.scale), shift: operands.floats(at.shift),
        labels: at.labels.map { operands.integers($0) }),
      into: NormalizationGradients(
        dx: operands.result(0), dScale: operands.result(at.dScale),
        dShift: operands.result(at.dShift), dResidual: operands.result(at.dResidual),
        dMoments: operands.result(at.dMoments)), scratch: operands.scratch,
      parallelism: parallelism)
  }
}

/// The labels of a partition, which an operand of a run brings.
internal struct LabelCheck: Sendable {
  private let operand: Int
  private let count: Int
  private let labels: Int
  private let place: String
  /// Whether there is a label for each position, not for each sample.
  let isPerPosition: Bool

  init?(_ request: KernelRequest, _ partition: Partition, _ operand: Int?, of x: Int) {
    guard let operand, case .labels(let labels) = partition.rows else { return nil }
    self.operand = operand
    self.labels = labels
    count = request.inputs[operand].elementCount
    place = request.node.label
    isPerPosition = Self.isPerPosition(request.inputs[operand], of: request.inputs[x])
  }

  /// Whether an operand has an element for each position of x.
  static func isPerPosition(_ operand: Shape, of x: Shape) -> Bool {
    operand.elementCount != x[0]
  }

  /// - Throws: `KeelError` of kind `value` for a label that is none of the partition's.
  func check(_ operands: Operands) throws(KeelError) {
    let values = operands.integers(operand)
    for i in 0..<count where !(0..<Int64(labels)).contains(values[i]) {
      throw KeelError(
        .value, at: place, expected: "labels from 0 to \(labels - 1)",
        found: "\(values[i]) at \(i)")
    }
  }
}

/// One value in a cell is its own mean: training on it would only look like it works.
private func checkCells(_ request: KernelRequest, _ normalization: Normalization, of index: Int)
  throws(KeelError)
{
  guard normalization.statistics == .current, normalization.operation.needsSeveralValues else {
    return
  }
  let shape = request.inputs[index]
  let partition = normalization.partition
  let cells = partition.cellExtents(of: shape.extents, channels: shape.channelCount) { $0 }
  // Labels may leave cells empty: those that hold something are checked when they are known.
  let isEven: Bool =
    switch partition.rows {
    case .shards, .labels: false
    default: true
    }
  guard isEven ? shape.elementCount > cells.reduce(1, *) : shape.elementCount > 1 else {
    throw KeelError(
      .shape, at: request.node.label,
      expected: "more than one value per \(partition.cellName) for \(normalization.name)",
      found: "\(shape)")
  }
}

/// Checks the cells of labels and shards, whose counts a run knows.
private func checkCounts(
  _ moments: UnsafePointer<Float>, _ cells: Int, _ normalization: Normalization, at place: String
) throws(KeelError) {
  guard normalization.operation.needsSeveralValues else { return }
  switch normalization.partition.rows {
  case .labels, .shards: break
  default: return
  }
  for cell in 0..<cells where moments[MomentsLayout.count * cells + cell] == 1 {
    throw KeelError(
      .value, at: place,
      expected:
        "more than one value per \(normalization.partition.cellName) for \(normalization.name)",
      found: "1 in cell \(cell)")
  }
}
