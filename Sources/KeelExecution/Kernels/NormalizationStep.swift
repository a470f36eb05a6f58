internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// A normalization: the batch's moments where they are wanted, then the apply pass.
internal struct NormalizationStep: PreparedKernel {
  private let kernel: BatchNormKernel
  private let moments: BatchMoments?
  private let at: NormalizationOperands
  let scratchCount: Int

  init(_ request: KernelRequest, _ normalization: Normalization) throws(KeelError) {
    let shape = request.inputs[0]
    at = NormalizationOperands(normalization)
    kernel = BatchNormKernel(
      rows: shape.rowCount, channels: shape.channelCount, epsilon: normalization.epsilon,
      activation: normalization.epilogue.activation)
    guard normalization.statistics == .current else {
      moments = nil
      scratchCount = kernel.applyScratchCount
      return
    }
    try checkSeveralValues(shape, at: request.node.label)
    let moments = BatchMoments(rows: shape.rowCount, channels: shape.channelCount)
    self.moments = moments
    scratchCount = max(
      kernel.applyScratchCount, moments.scratchCount(request.parallelism))
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    let x = operands.floats(0)
    let statistics: ChannelStatistics
    if let moments {
      let table = operands.result(1)
      moments.run(x, into: table, scratch: operands.scratch, parallelism: parallelism)
      statistics = .moments(UnsafePointer(table))
    } else {
      statistics = .given(mean: operands.floats(at.mean!), variance: operands.floats(at.variance!))
    }
    kernel.normalize(
      x, statistics: statistics, scale: operands.floats(at.scale),
      shift: operands.floats(at.shift), residual: operands.floats(at.residual),
      into: operands.result(0), scratch: operands.scratch, parallelism: parallelism)
  }
}

/// The gradient of a normalization.
internal struct NormalizationGradientStep: PreparedKernel {
  private let kernel: BatchNormKernel
  private let at: NormalizationGradientOperands
  let scratchCount: Int

  init(_ request: KernelRequest, _ normalization: Normalization) throws(KeelError) {
    let shape = request.inputs[1]
    at = NormalizationGradientOperands(normalization)
    kernel = BatchNormKernel(
      rows: shape.rowCount, channels: shape.channelCount, epsilon: normalization.epsilon,
      activation: normalization.epilogue.activation)
    if normalization.statistics == .current {
      try checkSeveralValues(shape, at: request.node.label)
    }
    scratchCount = kernel.gradientScratchCount(request.parallelism)
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    let statistics: ChannelStatistics =
      if let moments = at.moments {
        .moments(operands.floats(moments))
      } else {
        .given(mean: operands.floats(at.mean!), variance: operands.floats(at.variance!))
      }
    kernel.gradient(
      operands.floats(0), x: operands.floats(1), y: operands.floats(at.output),
      statistics: statistics, scale: operands.floats(at.scale), shift: operands.floats(at.shift),
      dx: operands.result(0), dScale: operands.result(at.dScale),
      dShift: operands.result(at.dShift), dResidual: operands.result(at.dResidual),
      scratch: operands.scratch, parallelism: parallelism)
  }
}

/// Running statistics after a batch.
internal struct RunningStatisticsStep: PreparedKernel {
  let channels: Int
  let momentum: Float

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    RunningStatistics.update(
      moments: operands.floats(0), mean: operands.floats(1), variance: operands.floats(2),
      channels: channels, momentum: momentum, newMean: operands.result(0),
      newVariance: operands.result(1))
  }
}

/// The variance of one value is 0 whatever the value: training on it would only look like it works.
private func checkSeveralValues(_ shape: Shape, at place: String) throws(KeelError) {
  guard shape.rowCount > 1 else {
    throw KeelError(
      .shape, at: place, expected: "more than one value per channel for batch norm in training",
      found: "\(shape)")
  }
}
