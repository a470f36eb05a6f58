internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// A convolution, a transposed one or a linear layer with its epilogue. A constant weight is packed once,
/// when the plan is made; another is packed at each run, into scratch memory.
internal struct ConvolutionStep<Kernel: PackedConvolution>: PreparedKernel {
  private let kernel: Kernel
  private let activation: Activation?
  private let bias: Int?
  private let residual: Int?
  private let packed: Tensor?
  let scratchCount: Int

  init(_ request: KernelRequest, _ kernel: Kernel, _ epilogue: Epilogue) {
    self.kernel = kernel
    activation = epilogue.activation
    bias = epilogue.hasBias ? 2 : nil
    residual = epilogue.hasResidual ? (epilogue.hasBias ? 3 : 2) : nil
    let workspace = kernel.workspaceCount(request.parallelism)
    if let weight = request.constants[1] {
      var tensor = Tensor(zeros: [kernel.packedWeightCount])
      tensor.withMutableSpan { span in
        span.withUnsafeMutableBufferPointer {
          kernel.pack(weight.unsafeBase, into: $0.baseAddress!)
        }
      }
      packed = tensor
      scratchCount = workspace
    } else {
      packed = nil
      scratchCount = workspace + kernel.packedWeightCount
    }
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    let epilogue = EpilogueOperands(
      bias: operands.floats(bias), residual: operands.floats(residual), activation: activation)
    if let packed {
      kernel.run(
        operands.floats(0), packed: packed.unsafeBase, into: operands.result(0),
        epilogue: epilogue, scratch: operands.scratch, parallelism: parallelism)
    } else {
      let target = operands.scratch + (scratchCount - kernel.packedWeightCount)
      kernel.run(
        operands.floats(0), weight: operands.floats(1), packed: target, into: operands.result(0),
        epilogue: epilogue, scratch: operands.scratch, parallelism: parallelism)
    }
  }
}

/// The weight gradient of a convolution or linear layer.
internal struct WeightGradientStep: PreparedKernel {
  private let kernel: ConvolutionWeightGradient
  let scratchCount: Int

  init(_ request: KernelRequest, _ geometry: ConvolutionGeometry) throws(KeelError) {
    kernel = try ConvolutionWeightGradient(geometry, batch: request.inputs[0][0])
    scratchCount = kernel.workspaceCount(request.parallelism)
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    kernel.run(
      operands.floats(0), dy: operands.floats(1), into: operands.result(0),
      scratch: operands.scratch, parallelism: parallelism)
  }
}
