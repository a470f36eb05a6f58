internal import KeelKernels

/// Slicing, padding or resizing, or the gradient of one.
internal struct MovementStep: PreparedKernel {
  let kernel: MovementKernel
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(operands.floats(0), into: operands.result(0), parallelism: parallelism)
  }
}

/// Tensors one after another.
internal struct ConcatenationStep: PreparedKernel {
  let kernel: ConcatenationKernel
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(operands.floats, into: operands.result(0), parallelism: parallelism)
  }
}

/// A permutation of axes.
internal struct TransposeStep: PreparedKernel {
  let kernel: TransposeKernel
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(operands.floats(0), into: operands.result(0), parallelism: parallelism)
  }
}
