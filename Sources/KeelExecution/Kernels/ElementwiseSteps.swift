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

/// Integers or truth values.
internal struct ConstantStep: PreparedKernel {
  let value: TensorValue
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    switch value {
    case .float32(let tensor): copy(tensor, to: operands.result(0))
    case .int64(let tensor): copy(tensor, to: operands.integerResult(0))
    case .bool(let tensor): copy(tensor, to: operands.truthResult(0))
    }
  }

  private func copy<Element>(
    _ tensor: DenseArray<Element>, to result: UnsafeMutablePointer<Element>
  ) {
    tensor.withSpan { span in
      for i in span.indices { result[i] = span[i] }
    }
  }
}
