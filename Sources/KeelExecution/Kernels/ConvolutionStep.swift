internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// A convolution, a transposed one or a linear layer with its epilogue, and with moments where a second result
/// is wanted. A constant weight is packed once,
/// by `pack`; another is packed at each run, into scratch memory.
internal struct ConvolutionStep<Kernel: PackedConvolution>: PreparedKernel {
  private let kernel: Kernel
  private let activation: Activation?
  private let bias: Int?
  private let residual: Int?
  let packedCount: Int
  var packed: Tensor?
  private let residualStride: Int
  private let pooledResult: Int?
  private let pooledStride: Int
  /// The operand with the second part of the input.
  private let secondPart: Int?
  /// Where a weight that is packed at each run goes.
  private let packedOffset: Int
  private let moments: ConvolutionMoments?
  /// Where the moments' memory starts in that of a run.
  private let momentsOffset: Int
  let scratchCount: Int
  var algorithm: String? { kernel.algorithmName }

  init(
    _ request: KernelRequest, _ kernel: Kernel, _ epilogue: Epilogue,
    moments: ConvolutionMoments? = nil
  ) {
    self.kernel = kernel
    self.moments = moments
    activation = epilogue.activation
    bias = epilogue.hasBias ? 2 : nil
    residual = epilogue.residualOperand
    residualStride =
      residual.flatMap { request.inputStrides[$0] } ?? request.outputs[0].channelCount
    secondPart = (request.inputParts?.count ?? 1) > 1 ? request.node.inputs.count : nil
    pooledResult = request.pooledResult
    pooledStride =
      request.pooledResult.flatMap { request.outputStrides[$0] } ?? request.outputs[0].channelCount
    let workspace = kernel.workspaceCount(request.parallelism)
    let isConstant = request.constants[1] != nil
    packedCount = isConstant ? kernel.packedWeightCount : 0
    momentsOffset = Self.aligned(workspace + (isConstant ? 0 : kernel.packedWeightCount))
    packedOffset = workspace
    scratchCount = momentsOffset + (moments?.scratchCount ?? 0)
  }

  /// The next multiple of a cache line's floats.
  private static func aligned(_ count: Int) -> Int { (count + 15) / 16 * 16 }

  mutating func pack(_ constants: [Int: Tensor], _ parallelism: Parallelism) {
    guard let weight = constants[1] else { return }
    var tensor = Tensor(zeros: [packedCount])
    tensor.withMutableSpan { span in
      span.withUnsafeMutableBufferPointer {
        kernel.pack(weight.unsafeBase, into: $0.baseAddress!, parallelism: parallelism)
      }
    }
    packed = tensor
  }

  func run(_ operands: Operands, _ parallelism: Parallelism) {
    let epilogue = EpilogueOperands(
      bias: operands.floats(bias), residual: operands.floats(residual),
      residualStride: residualStride, activation: activation,
      moments: moments?.tiles(operands.scratch + momentsOffset),
      pooled: operands.result(pooledResult).map {
        PooledResult($0, stride: pooledStride, keepsResult: pooledResult! > 0)
      })
    if let packed {
      kernel.run(
        InputParts(operands.floats(0), operands.floats(secondPart)), packed: packed.unsafeBase,
        into: operands.result(0), epilogue: epilogue, scratch: operands.scratch,
        parallelism: parallelism)
    } else {
      kernel.run(
        operands.floats(0), weight: operands.floats(1), packed: operands.scratch + packedOffset,
        into: operands.result(0), epilogue: epilogue, scratch: operands.scratch,
        parallelism: parallelism)
    }
    moments?.finish(
      operands.result(0), into: operands.result(1), scratch: operands.scratch + momentsOffset,
      parallelism: parallelism)
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
