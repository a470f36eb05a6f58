internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// Maximum or average pooling.
internal struct PoolingStep: PreparedKernel {
  let kernel: PoolingKernel
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(operands.floats(0), into: operands.result(0), parallelism: parallelism)
  }
}

/// The gradient of a pooling.
internal struct PoolingGradientStep: PreparedKernel {
  let kernel: PoolingKernel
  let takesInput: Bool
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.gradient(
      operands.floats(0), x: takesInput ? operands.floats(1) : nil, into: operands.result(0),
      parallelism: parallelism)
  }
}
