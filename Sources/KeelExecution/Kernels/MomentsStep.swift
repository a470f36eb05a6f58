internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// Moments of cells.
internal struct MomentsStep: PreparedKernel {
  private let kernel: MomentsKernel
  private let at: MomentsOperands
  private let labels: LabelCheck?
  private let weights: WeightCheck?
  let scratchCount: Int

  init(_ request: KernelRequest, _ partition: Partition, isWeighted: Bool) {
    at = MomentsOperands(partition, isWeighted: isWeighted)
    labels = LabelCheck(request, partition, at.labels, of: 0)
    weights = WeightCheck(request, at.weights, of: 0)
    kernel = MomentsKernel(
      partition, of: request.inputs[0], labelsPerPosition: labels?.isPerPosition ?? false,
      weightsPerPosition: weights?.isPerPosition)
    scratchCount = kernel.scratchCount(request.parallelism)
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) throws(KeelError) {
    try labels?.check(operands)
    try weights?.check(operands)
    kernel.run(
      operands.floats(0), labels: at.labels.map { operands.integers($0) },
      weights: operands.floats(at.weights), into: operands.result(0), scratch: operands.scratch,
      parallelism: parallelism)
  }
}

/// The gradient of moments.
internal struct MomentsGradientStep: PreparedKernel {
  private let kernel: MomentsGradientKernel
  private let at: MomentsGradientOperands
  private let labels: LabelCheck?
  private let weights: WeightCheck?
  let scratchCount: Int

  init(_ request: KernelRequest, _ partition: Partition, isWeighted: Bool) {
    at = MomentsGradientOperands(partition, isWeighted: isWeighted)
    labels = LabelCheck(request, partition, at.labels, of: 1)
    weights = WeightCheck(request, at.weights, of: 1)
    kernel = MomentsGradientKernel(
      partition, of: request.inputs[1], labelsPerPosition: labels?.isPerPosition ?? false,
      weightsPerPosition: weights?.isPerPosition)
    scratchCount = kernel.scratchCount(request.parallelism)
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) throws(KeelError) {
    try labels?.check(operands)
    try weights?.check(operands)
    kernel.run(
      operands.floats(0), operands.floats(1), operands.floats(2),
      labels: at.labels.map { operands.integers($0) }, weights: operands.floats(at.weights),
      into: operands.result(0), scratch: operands.scratch, parallelism: parallelism)
  }
}

/// The weights of moments, which an operand of a run brings.
private struct WeightCheck: Sendable {
  private let operand: Int
  private let count: Int
  private let place: String
  let isPerPosition: Bool

  init?(_ request: KernelRequest, _ operand: Int?, of x: Int) {
    guard let operand else { return nil }
    self.operand = operand
    count = request.inputs[operand].elementCount
    place = request.node.label
    isPerPosition = LabelCheck.isPerPosition(request.inputs[operand], of: request.inputs[x])
  }

  /// - Throws: `KeelError` of kind `value` for a weight that is negative, infinite or not a number.
  func check(_ operands: Operands) throws(KeelError) {
    let values = operands.floats(operand)
    for i in 0..<count where !(values[i] >= 0 && values[i].isFinite) {
      throw KeelError(
        .value, at: place, expected: "finite weights of at least 0", found: "\(values[i]) at \(i)")
    }
  }
}

/// A mixture of moments.
internal struct MixedMomentsStep: PreparedKernel {
  let kernel: MomentsMixtureKernel
  let mixture: MomentsMixture

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(
      { operands.floats($0) }, { operands.floats(mixture.count + $0) },
      into: operands.result(0))
  }
}

/// The gradient of a mixture of moments.
internal struct MixedMomentsGradientStep: PreparedKernel {
  let kernel: MomentsMixtureKernel
  let mixture: MomentsMixture

  var scratchCount: Int { kernel.gradientScratchCount }

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.gradient(
      operands.floats(0), { operands.floats(1 + $0) },
      { operands.floats(1 + mixture.count + $0) }, into: { operands.result($0) },
      scratch: operands.scratch)
  }
}

/// Running statistics after a batch.
internal struct RunningStatisticsStep: PreparedKernel {
  let cells: Int
  let average: RunningAverage

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    let batches: Int? = average == .cumulative ? 3 : nil
    RunningStatistics.update(
      average,
      RunningStatistics.Operands(
        moments: operands.floats(0), mean: operands.floats(1), variance: operands.floats(2),
        batches: operands.floats(batches)), cells: cells, newMean: operands.result(0),
      newVariance: operands.result(1), newBatches: operands.result(batches.map { _ in 2 }))
  }
}
