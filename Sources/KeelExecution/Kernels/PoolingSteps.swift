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

/// The mean over positions.
internal struct GlobalPoolingStep: PreparedKernel {
  private let kernel: GlobalAveragePooling
  let scratchCount: Int

  init(image: Shape, parallelism: Parallelism) {
    kernel = GlobalAveragePooling(image)
    scratchCount = kernel.scratchCount(parallelism)
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(
      operands.floats(0), into: operands.result(0), scratch: operands.scratch,
      parallelism: parallelism)
  }
}

/// The gradient of the mean over positions.
internal struct GlobalPoolingGradientStep: PreparedKernel {
  private let kernel: GlobalAveragePooling

  init(image: Shape) { kernel = GlobalAveragePooling(image) }

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.gradient(operands.floats(0), into: operands.result(0), parallelism: parallelism)
  }
}

extension GlobalAveragePooling {
  /// The pooling of an image of shape N×H×W×C.
  fileprivate init(_ image: Shape) {
    self.init(batch: image[0], positions: image[1] * image[2], channels: image[3])
  }
}
