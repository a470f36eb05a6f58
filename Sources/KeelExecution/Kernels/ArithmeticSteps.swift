internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// a ∘ b.
internal struct ArithmeticStep: PreparedKernel {
  let operation: Arithmetic
  let kernel: BroadcastKernel
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(
      operation, operands.floats(0), operands.floats(1), into: operands.result(0),
      parallelism: parallelism)
  }
}

/// a or b.
internal struct ChoiceStep: PreparedKernel {
  let kernel: ChoiceKernel
  /// Whether the condition is of truth values, otherwise of numbers.
  let takesTruth: Bool
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    let (a, b, y) = (operands.floats(1), operands.floats(2), operands.result(0))
    if takesTruth {
      kernel.run(operands.truth(0), a, b, into: y, parallelism: parallelism)
    } else {
      kernel.run(operands.floats(0), a, b, into: y, parallelism: parallelism)
    }
  }
}

/// What of dy goes to an operand of a ∘ b.
internal struct ArithmeticGradientStep: PreparedKernel {
  let operand: ArithmeticGradient
  let kernel: BroadcastKernel
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.gradient(
      operand, operands.floats(0), operands.floats(1), operands.floats(2),
      into: operands.result(0), parallelism: parallelism)
  }
}

/// f(x).
internal struct ElementwiseStep: PreparedKernel {
  let function: ElementwiseFunction
  let count: Int
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    Elementwise.apply(
      function, operands.floats(0), into: operands.result(0), count: count,
      parallelism: parallelism)
  }
}

/// A sum, mean, extreme or norm along axes.
internal struct ReductionStep: PreparedKernel {
  private let kernel: ReductionKernel
  let scratchCount: Int

  init(kernel: ReductionKernel, parallelism: Parallelism) {
    self.kernel = kernel
    scratchCount = kernel.scratchCount(parallelism)
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(
      operands.floats(0), into: operands.result(0), scratch: operands.scratch,
      parallelism: parallelism)
  }
}

/// dy at the first extreme along axes.
internal struct ExtremeGradientStep: PreparedKernel {
  let kernel: ReductionKernel
  var scratchCount: Int { kernel.extremeScratchCount }
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.extremeGradient(
      operands.floats(0), operands.floats(1), into: operands.result(0), scratch: operands.scratch,
      parallelism: parallelism)
  }
}

/// A value broadcast to a larger shape.
internal struct ExpandStep: PreparedKernel {
  let kernel: ExpansionKernel
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(operands.floats(0), into: operands.result(0), parallelism: parallelism)
  }
}

/// PReLU.
internal struct ParametricReLUStep: PreparedKernel {
  let kernel: ParametricReLUKernel
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(
      operands.floats(0), slope: operands.floats(1), into: operands.result(0),
      parallelism: parallelism)
  }
}

/// The gradients of PReLU.
internal struct ParametricReLUGradientStep: PreparedKernel {
  private let kernel: ParametricReLUKernel
  let scratchCount: Int

  init(kernel: ParametricReLUKernel, parallelism: Parallelism) {
    self.kernel = kernel
    scratchCount = kernel.scratchCount(parallelism)
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.gradient(
      operands.floats(0), operands.floats(1), slope: operands.floats(2), into: operands.result(0),
      dSlope: operands.result(1), scratch: operands.scratch, parallelism: parallelism)
  }
}

/// Dropout and its gradient.
internal struct DropoutStep: PreparedKernel {
  private let kernel: DropoutKernel
  let scratchCount: Int

  init(kernel: DropoutKernel, parallelism: Parallelism) {
    self.kernel = kernel
    scratchCount = kernel.scratchCount(parallelism)
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(
      operands.floats(0), seed: operands.integers(1).pointee, into: operands.result(0),
      scratch: operands.scratch, parallelism: parallelism)
  }
}
