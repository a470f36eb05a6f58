internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// Softmax or its logarithm along rows.
internal struct SoftmaxStep: PreparedKernel {
  let kernel: SoftmaxKernel
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(operands.floats(0), into: operands.result(0), parallelism: parallelism)
  }
}

/// The gradient of softmax or its logarithm.
internal struct SoftmaxGradientStep: PreparedKernel {
  let kernel: SoftmaxKernel
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.gradient(
      operands.floats(0), from: operands.floats(1), into: operands.result(0),
      parallelism: parallelism)
  }
}

/// A loss.
internal struct LossStep: PreparedKernel {
  private let loss: Loss
  private let kernel: any LossKernel
  let scratchCount: Int

  init(_ request: KernelRequest, _ loss: Loss) {
    self.loss = loss
    kernel = loss.kernel(request)
    scratchCount = kernel.scratchCount(request.parallelism)
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) throws(KeelError) {
    try kernel.run(
      operands.loss(loss), into: operands.result(0), scratch: operands.scratch,
      parallelism: parallelism)
  }
}

/// The gradient of a loss.
internal struct LossGradientStep: PreparedKernel {
  private let loss: Loss
  private let kernel: any LossKernel
  let scratchCount: Int

  init(_ request: KernelRequest, _ loss: Loss) {
    self.loss = loss
    kernel = loss.kernel(request)
    scratchCount = kernel.scratchCount(request.parallelism)
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) throws(KeelError) {
    try kernel.gradient(
      operands.loss(loss), dLoss: operands.floats(loss.operandCount), into: operands.result(0),
      second: loss.gradientCount == 2 ? operands.result(1) : nil, scratch: operands.scratch,
      parallelism: parallelism)
  }
}

extension Loss {
  fileprivate func kernel(_ request: KernelRequest) -> any LossKernel {
    kernel(
      request.inputs[0], weightCount: hasWeights ? request.inputs[2].elementCount : 0,
      place: request.node.label)
  }
}

extension Operands {
  fileprivate func loss(_ loss: Loss) -> LossOperands {
    LossOperands(
      prediction: floats(0),
      target: loss.operandCount > 1 && !loss.takesLabels ? floats(1) : nil,
      labels: loss.takesLabels ? integers(1) : nil,
      third: loss.operandCount > 2 ? floats(2) : nil)
  }
}
