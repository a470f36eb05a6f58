internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// f(x).
internal struct ActivationStep: PreparedKernel {
  let activation: Activation
  let count: Int
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    Elementwise.activate(
      activation, operands.floats(0), into: operands.result(0), count: count,
      parallelism: parallelism)
  }
}

/// The gradient of f(x), from the value that `gradientOperand` names.
internal struct ActivationGradientStep: PreparedKernel {
  let activation: Activation
  let count: Int
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    Elementwise.activationGradient(
      activation, operands.floats(0), from: operands.floats(1), into: operands.result(0),
      count: count, parallelism: parallelism)
  }
}

/// A copy, for a reshape whose result has memory of its own.
internal struct CopyStep: PreparedKernel {
  let byteCount: Int
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    let (from, to) = (operands.floats(0), operands.result(0))
    guard from != UnsafePointer(to) else { return }
    UnsafeMutableRawPointer(to).copyMemory(from: from, byteCount: byteCount)
  }
}

/// One value everywhere.
internal struct FillStep: PreparedKernel {
  let value: Float
  let count: Int
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    operands.result(0).update(repeating: value, count: count)
  }
}
