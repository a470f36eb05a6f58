internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// Softmax along rows.
internal struct SoftmaxStep: PreparedKernel {
  let rows: Int
  let columns: Int
  func run(_ operands: Operands, _ parallelism: Parallelism) {
    SoftmaxKernel.softmax(
      operands.floats(0), into: operands.result(0), rows: rows, columns: columns)
  }
}

/// The mean cross-entropy of softmax with labels.
internal struct CrossEntropyStep: PreparedKernel {
  let rows: Int
  let columns: Int
  let place: String
  func run(_ operands: Operands, _ parallelism: Parallelism) throws(KeelError) {
    operands.result(0).pointee = try SoftmaxKernel.crossEntropy(
      operands.floats(0), labels: operands.integers(1), rows: rows, columns: columns, place: place)
  }
}

/// The gradient of the mean cross-entropy.
internal struct CrossEntropyGradientStep: PreparedKernel {
  let rows: Int
  let columns: Int
  let place: String
  func run(_ operands: Operands, _ parallelism: Parallelism) throws(KeelError) {
    try SoftmaxKernel.crossEntropyGradient(
      operands.floats(0), labels: operands.integers(1), dLoss: operands.floats(2).pointee,
      into: operands.result(0), rows: rows, columns: columns, place: place)
  }
}
