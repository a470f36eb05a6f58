internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

// Kernels that move elements move words of a Float's size, bit for bit. An integer is two words: a last axis
// of two that stays where it is.
extension KernelRequest {
  /// A shape in words.
  internal func words(_ shape: Shape) -> Shape {
    elementType == .int64 ? Shape(shape.extents + [2]) : shape
  }

  internal func movementStep(_ movement: Movement) -> MovementStep {
    let movement = elementType == .int64 ? Movement(movement.axes + [.whole]) : movement
    return MovementStep(
      kernel: MovementKernel(
        movement, input: words(inputs[0]), output: words(outputs[0]), gradient: false))
  }

  internal func transposeStep(_ permutation: [Int]) -> TransposeStep {
    let last = elementType == .int64 ? [permutation.count] : []
    return TransposeStep(
      kernel: TransposeKernel(input: words(inputs[0]), permutation: permutation + last))
  }
}

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
    // A closure and not the method itself, which would be put on the heap.
    kernel.run({ operands.floats($0) }, into: operands.result(0), parallelism: parallelism)
  }
}

/// A permutation of axes.
internal struct TransposeStep: PreparedKernel {
  let kernel: TransposeKernel
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(operands.floats(0), into: operands.result(0), parallelism: parallelism)
  }
}
