internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// Pooling of any kind.
internal struct PoolingStep: PreparedKernel {
  let kernel: PoolingKernel
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(operands.floats(0), into: operands.result(0), parallelism: parallelism)
  }
}

/// Max pooling that also says where the maxima stand.
internal struct PoolingIndicesStep: PreparedKernel {
  let kernel: PoolingKernel
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(
      operands.floats(0), into: operands.result(0), indices: operands.integerResult(1),
      parallelism: parallelism)
  }
}

/// The gradient of a pooling.
internal struct PoolingGradientStep: PreparedKernel {
  let kernel: PoolingKernel
  let operandCount: Int
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.gradient(
      operands.floats(0), x: operandCount > 1 ? operands.floats(1) : nil,
      y: operandCount > 2 ? operands.floats(2) : nil, into: operands.result(0),
      parallelism: parallelism)
  }
}
