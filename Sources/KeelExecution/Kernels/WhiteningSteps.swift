internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// Co-moments of blocks of channels.
internal struct ComomentsStep: PreparedKernel {
  private let kernel: ComomentsKernel
  let scratchCount: Int

  init(_ request: KernelRequest, _ blocks: ChannelBlocks) {
    kernel = ComomentsKernel(blocks, of: request.inputs[0])
    scratchCount = kernel.scratchCount(request.parallelism)
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(
      operands.floats(0), into: operands.result(0), scratch: operands.scratch,
      parallelism: parallelism)
  }
}

/// The gradient of co-moments.
internal struct ComomentsGradientStep: PreparedKernel {
  private let kernel: ComomentsGradientKernel
  private let residual: ComomentsResidual
  let scratchCount: Int

  init(_ request: KernelRequest, _ blocks: ChannelBlocks, _ residual: ComomentsResidual) {
    kernel = ComomentsGradientKernel(blocks, of: request.inputs[1], residual: residual)
    self.residual = residual
    scratchCount = kernel.scratchCount(request.parallelism)
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(
      operands.floats(0), operands.floats(1), operands.floats(2),
      added: operands.floats(residual == .none ? nil : 3),
      matrix: operands.floats(residual == .mapped ? 4 : nil), into: operands.result(0),
      scratch: operands.scratch, parallelism: parallelism)
  }
}

/// Whitening or coloring matrices.
internal struct WhiteningStep: PreparedKernel {
  private let kernel: WhiteningKernel
  private let hasFactor: Bool
  let scratchCount: Int

  init(_ request: KernelRequest, _ rule: Whitening, _ blocks: ChannelBlocks) {
    kernel = WhiteningKernel(
      rule, blocks, table: request.inputs[0], place: request.node.label)
    hasFactor = rule.hasFactor
    scratchCount = kernel.scratchCount(request.parallelism)
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) throws(KeelError) {
    try kernel.run(
      operands.floats(0), into: operands.result(0),
      factor: operands.result(hasFactor ? 1 : nil), scratch: operands.scratch,
      parallelism: parallelism)
  }
}

/// The gradient of whitening or coloring matrices.
internal struct WhiteningGradientStep: PreparedKernel {
  private let kernel: WhiteningGradientKernel
  private let factor: Int?
  let scratchCount: Int

  init(_ request: KernelRequest, _ rule: Whitening, _ blocks: ChannelBlocks) {
    kernel = WhiteningGradientKernel(
      rule, blocks, table: request.inputs[1], place: request.node.label)
    factor = rule.hasFactor ? 3 : nil
    scratchCount = kernel.scratchCount(request.parallelism)
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(
      operands.floats(0), operands.floats(1), operands.floats(2), factor: operands.floats(factor),
      into: operands.result(0), scratch: operands.scratch, parallelism: parallelism)
  }
}

/// A matrix for each block of channels.
internal struct BlockMapStep: PreparedKernel {
  private let kernel: BlockMapKernel
  private let map: BlockMap
  let scratchCount: Int

  init(_ request: KernelRequest, _ map: BlockMap) {
    self.map = map
    kernel = BlockMapKernel(map, of: request.inputs[0])
    scratchCount = kernel.scratchCount(request.parallelism)
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(
      operands.floats(0), centre: operands.floats(map.centers ? 1 : nil),
      operands.floats(map.matrixOperand), shift: operands.floats(map.shiftOperand),
      into: operands.result(0), scratch: operands.scratch, parallelism: parallelism)
  }
}

/// The gradients of a block map.
internal struct BlockMapGradientStep: PreparedKernel {
  private let kernel: BlockMapGradientKernel
  private let map: BlockMap
  private let makesInput: Bool
  let scratchCount: Int

  init(_ request: KernelRequest, _ map: BlockMap, makesInput: Bool) {
    self.map = map
    self.makesInput = makesInput
    kernel = BlockMapGradientKernel(map, of: request.inputs[1])
    scratchCount = kernel.scratchCount(request.parallelism)
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    let first = makesInput ? 1 : 0
    let dMatrix = map.centers ? first + 1 : first
    kernel.run(
      operands.floats(0), operands.floats(1), centre: operands.floats(map.centers ? 2 : nil),
      operands.floats(1 + map.matrixOperand),
      into: .init(
        dx: operands.result(makesInput ? 0 : nil),
        dCentre: operands.result(map.centers ? first : nil),
        dMatrix: operands.result(dMatrix),
        dShift: operands.result(map.shift == .none ? nil : dMatrix + 1)),
      scratch: operands.scratch, parallelism: parallelism)
  }
}

/// Running mean and covariance after a batch.
internal struct RunningComomentsStep: PreparedKernel {
  let channels: Int
  /// The rows of the covariance; nil without.
  let size: Int?
  let momentum: Float
  let place: String

  func run(_ operands: Operands, _ parallelism: Parallelism) throws(KeelError) {
    let table = operands.floats(0)
    let n = Double(table[0])
    guard n > 1 else {
      throw KeelError(
        .value, at: place, expected: "co-moments of more than one row", found: "\(n)")
    }
    let weight = Double(momentum)
    func average(_ old: Float, _ value: Double) -> Float {
      Float((1 - weight) * Double(old) + weight * value)
    }
    let mean = operands.floats(1)
    let newMean = operands.result(0)
    for c in 0..<channels {
      let batch =
        Double(table[ComomentsLayout.mean * channels + c])
        + Double(table[ComomentsLayout.meanResidual * channels + c])
      newMean[c] = average(mean[c], batch)
    }
    guard let size else { return }
    let covariance = operands.floats(2)
    let newCovariance = operands.result(1)
    let rest = ComomentsLayout.productResiduals(of: size) * channels
    for i in 0..<size * channels {
      let batch =
        Double(table[ComomentsLayout.products * channels + i]) + Double(table[rest + i])
      newCovariance[i] = average(covariance[i], batch / (n - 1))
    }
  }
}

/// A moving average of values.
internal struct MovingAverageStep: PreparedKernel {
  let count: Int
  let momentum: Float

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    let (value, average, result) = (operands.floats(0), operands.floats(1), operands.result(0))
    let weight = Double(momentum)
    for i in 0..<count {
      result[i] = Float((1 - weight) * Double(average[i]) + weight * Double(value[i]))
    }
  }
}
