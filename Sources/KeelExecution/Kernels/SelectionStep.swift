internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// Rows of a table by index.
internal struct SelectionStep: PreparedKernel {
  private let kernel: SelectionKernel
  private let place: String

  init(_ request: KernelRequest, rows: Int) {
    kernel = SelectionKernel(
      rows: rows, rowLength: request.inputs[0].extents.dropFirst().reduce(1, *),
      count: request.inputs[1].elementCount)
    place = request.node.label
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) throws(KeelError) {
    try kernel.check(operands.integers(1), at: place)
    kernel.run(
      operands.floats(0), operands.integers(1), into: operands.result(0), parallelism: parallelism)
  }
}

/// Sums of rows by index.
internal struct SelectionGradientStep: PreparedKernel {
  private let kernel: SelectionKernel
  private let place: String

  init(_ request: KernelRequest, rows: Int) {
    kernel = SelectionKernel(
      rows: rows, rowLength: request.outputs[0].extents.dropFirst().reduce(1, *),
      count: request.inputs[1].elementCount)
    place = request.node.label
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) throws(KeelError) {
    try kernel.check(operands.integers(1), at: place)
    kernel.gradient(
      operands.floats(0), operands.integers(1), into: operands.result(0), parallelism: parallelism)
  }
}

extension Primitive {
  /// Whether the result has the elements of the operand, in their order, and nothing is computed.
  internal var isCopy: Bool {
    switch self {
    case .reshape, .detachment: true
    default: false
    }
  }
}
