package import KeelGraph
package import KeelKernels
package import KeelTensor

/// A node's operation, prepared for fixed shapes: running it allocates nothing.
package protocol PreparedKernel: Sendable {
  /// The floats of scratch memory that a run needs.
  var scratchCount: Int { get }

  /// How it computes, where there are several ways.
  var algorithm: String? { get }

  /// The floats of a constant weight, in the form that runs take; 0 where there is none.
  var packedCount: Int { get }

  /// The constant weight in that form. It is not there when a kernel is prepared, so that what a plan takes is known
  /// before it is taken.
  var packed: Tensor? { get set }

  /// Brings a constant weight into that form; before the first run.
  mutating func pack(_ constants: [Int: Tensor], _ parallelism: Parallelism)

  /// Computes the results from the operands.
  /// - Throws: `KeelError` of kind `value` for operands that the operation cannot take (a label out of
  ///   range); shapes have been checked before.
  func run(_ operands: Operands, _ parallelism: Parallelism) throws(KeelError)
}

extension PreparedKernel {
  package var scratchCount: Int { 0 }
  package var algorithm: String? { nil }
  package var packedCount: Int { 0 }
  package var packed: Tensor? {
    get { nil }
    set {}
  }
  package mutating func pack(_ constants: [Int: Tensor], _ parallelism: Parallelism) {}
}

/// Where a node's operands and results are in memory.
///
/// Unchecked Sendable: a value of this type belongs to one workspace, and a workspace runs on one thread
/// at a time.
package struct Operands: @unchecked Sendable {
  private let inputs: [UnsafeMutableRawPointer]
  private let outputs: [UnsafeMutableRawPointer]
  /// Scratch memory of at least the kernel's `scratchCount` floats.
  package let scratch: UnsafeMutablePointer<Float>

  package init(
    inputs: [UnsafeMutableRawPointer], outputs: [UnsafeMutableRawPointer],
    scratch: UnsafeMutablePointer<Float>
  ) {
    self.inputs = inputs
    self.outputs = outputs
    self.scratch = scratch
  }

  /// A Float operand.
  package func floats(_ index: Int) -> UnsafePointer<Float> {
    UnsafePointer(inputs[index].assumingMemoryBound(to: Float.self))
  }

  /// A Float operand that a primitive may not have.
  package func floats(_ index: Int?) -> UnsafePointer<Float>? { index.map { floats($0) } }

  /// An integer operand.
  package func integers(_ index: Int) -> UnsafePointer<Int64> {
    UnsafePointer(inputs[index].assumingMemoryBound(to: Int64.self))
  }

  /// An operand of truth values.
  package func truth(_ index: Int) -> UnsafePointer<Bool> {
    UnsafePointer(inputs[index].assumingMemoryBound(to: Bool.self))
  }

  /// A Float result.
  package func result(_ index: Int) -> UnsafeMutablePointer<Float> {
    outputs[index].assumingMemoryBound(to: Float.self)
  }

  /// An integer result.
  package func integerResult(_ index: Int) -> UnsafeMutablePointer<Int64> {
    outputs[index].assumingMemoryBound(to: Int64.self)
  }

  /// A result of truth values.
  package func truthResult(_ index: Int) -> UnsafeMutablePointer<Bool> {
    outputs[index].assumingMemoryBound(to: Bool.self)
  }

  /// A Float result that a primitive may not have.
  package func result(_ index: Int?) -> UnsafeMutablePointer<Float>? { index.map { result($0) } }
}

/// A node with everything that is known when it is prepared.
package struct KernelRequest {
  /// The node.
  package let node: Node
  /// The shapes of its operands.
  package let inputs: [Shape]
  /// The shapes of its results.
  package let outputs: [Shape]
  /// The element type of its first result, which what moves elements has in common with its operands.
  package let elementType: ElementType
  /// The element type of its first operand.
  package let operandType: ElementType
  /// Operands that never change, by position: weights of a plan for inference.
  package let constants: [Int: Tensor]
  /// What a convolution applies to the rows it reads.
  package let prologue: Prologue?
  /// What a convolution's input is made of, where it is read through: the first operand, and those after the node's.
  package let inputParts: [InputPart]?
  /// The result that holds the maxima of 2×2 pixels of a convolution's; the one before it, if any, holds the pixels.
  package let pooledResult: Int?
  /// The cells whose moments a convolution gathers into its last result.
  package let gatheredPartition: Partition?
  /// The floats from one row of each operand to the next, nil where rows follow each other.
  package let inputStrides: [Int?]
  /// Likewise of each result.
  package let outputStrides: [Int?]
  /// The operands that a concatenation copies; the others are in their places.
  package let copiedOperands: [Int]
  /// The threads that runs will use.
  package let parallelism: Parallelism
  /// The algorithm of a convolution; nil for the one that sums the products themselves.
  package let algorithm: ConvolutionAlgorithm?

  package init(
    node: Node, inputs: [Shape], outputs: [Shape], elementType: ElementType = .float32,
    operandType: ElementType = .float32, constants: [Int: Tensor] = [:],
    prologue: Prologue? = nil, inputParts: [InputPart]? = nil, pooledResult: Int? = nil,
    gatheredPartition: Partition? = nil, inputStrides: [Int?]? = nil, outputStrides: [Int?]? = nil,
    copiedOperands: [Int]? = nil, parallelism: Parallelism,
    algorithm: ConvolutionAlgorithm? = nil
  ) {
    self.algorithm = algorithm
    self.node = node
    self.inputs = inputs
    self.outputs = outputs
    self.elementType = elementType
    self.operandType = operandType
    self.constants = constants
    self.prologue = prologue
    self.inputParts = inputParts
    self.pooledResult = pooledResult
    self.gatheredPartition = gatheredPartition
    self.inputStrides = inputStrides ?? inputs.map { _ in nil }
    self.outputStrides = outputStrides ?? outputs.map { _ in nil }
    self.copiedOperands = copiedOperands ?? Array(inputs.indices)
    self.parallelism = parallelism
  }

  /// Prepares the node.
  /// - Throws: `KeelError` for shapes that the operation cannot take, such as one value per channel in
  ///   training.
  package func prepare() throws(KeelError) -> any PreparedKernel {
    switch node.primitive {
    case .convolution(let geometry, let epilogue):
      let kernel = try convolution(geometry, algorithm)
      return ConvolutionStep(
        self, kernel, epilogue,
        moments: gatheredPartition.map { ConvolutionMoments(kernel, $0, parallelism: parallelism) })
    case .convolutionWithMoments(let geometry, let epilogue):
      let kernel = try convolution(geometry)
      return ConvolutionStep(
        self, kernel, epilogue,
        moments: ConvolutionMoments(kernel, .batch, parallelism: parallelism))
    case .transposedConvolution(let geometry, let epilogue):
      return ConvolutionStep(self, try transposedConvolution(geometry), epilogue)
    case .convolutionWeightGradient(let geometry):
      return try WeightGradientStep(self, geometry)
    case .linear(let epilogue):
      return ConvolutionStep(self, try convolution(linearGeometry(weight: 1)), epilogue)
    case .linearInputGradient:
      return ConvolutionStep(
        self, try transposedConvolution(linearGeometry(weight: 1)), Epilogue())
    case .linearWeightGradient:
      return try WeightGradientStep(
        self, .linear(inputs: inputs[0][1], outputs: inputs[1][1], place: node.label))
    case .normalization(let normalization): return try NormalizationStep(self, normalization)
    case .normalizationGradient(let normalization):
      return try NormalizationGradientStep(self, normalization)
    case .moments(let partition, let isWeighted):
      return MomentsStep(self, partition, isWeighted: isWeighted)
    case .momentsGradient(let partition, let isWeighted):
      return MomentsGradientStep(self, partition, isWeighted: isWeighted)
    case .mixedMoments(let mixture):
      return MixedMomentsStep(kernel: mixtureKernel(mixture, from: 0), mixture: mixture)
    case .mixedMomentsGradient(let mixture):
      return MixedMomentsGradientStep(kernel: mixtureKernel(mixture, from: 1), mixture: mixture)
    case .runningStatistics(let average):
      return RunningStatisticsStep(cells: inputs[1].elementCount, average: average)
    case .comoments(let blocks): return ComomentsStep(self, blocks)
    case .comomentsGradient(let blocks, let residual):
      return ComomentsGradientStep(self, blocks, residual)
    case .whitening(let rule, let blocks): return WhiteningStep(self, rule, blocks)
    case .whiteningGradient(let rule, let blocks): return WhiteningGradientStep(self, rule, blocks)
    case .blockMap(let map): return BlockMapStep(self, map)
    case .blockMapGradient(let map, let makesInput):
      return BlockMapGradientStep(self, map, makesInput: makesInput)
    case .runningComoments(let momentum, let hasCovariance):
      return RunningComomentsStep(
        channels: inputs[1].elementCount, size: hasCovariance ? inputs[2][0] : nil,
        momentum: momentum, place: node.label)
    case .movingAverage(let momentum):
      return MovingAverageStep(count: inputs[0].elementCount, momentum: momentum)
    case .activation(let activation):
      return ActivationStep(activation: activation, count: inputs[0].elementCount)
    case .activationGradient(let activation):
      return ActivationGradientStep(activation: activation, count: inputs[0].elementCount)
    case .pooling(let geometry):
      return PoolingStep(kernel: pooling(geometry))
    case .poolingGradient(let geometry):
      return PoolingGradientStep(
        kernel: PoolingKernel(geometry, batch: inputs[0][0]), operandCount: inputs.count)
    case .maxPoolingWithIndices(let geometry):
      return PoolingIndicesStep(kernel: pooling(geometry))
    case .movement(let movement): return movementStep(movement)
    case .movementGradient(let movement, _):
      return MovementStep(
        kernel: MovementKernel(movement, input: outputs[0], output: inputs[0], gradient: true))
    case .concatenation(let axis):
      return ConcatenationStep(
        kernel: ConcatenationKernel(
          inputs: inputs.map(words), axis: axis, copied: copiedOperands,
          inputStrides: inputStrides, outputStride: outputStrides[0]))
    case .transpose(let permutation): return transposeStep(permutation)
    case .selection: return SelectionStep(self, rows: inputs[0][0])
    case .selectionGradient(let rows): return SelectionGradientStep(self, rows: rows)
    case .reshape, .detachment:
      return CopyStep(byteCount: inputs[0].elementCount * elementType.byteCount)
    case .softmax: return SoftmaxStep(kernel: softmaxKernel(isLog: false))
    case .logSoftmax: return SoftmaxStep(kernel: softmaxKernel(isLog: true))
    case .softmaxGradient: return SoftmaxGradientStep(kernel: softmaxKernel(isLog: false))
    case .logSoftmaxGradient: return SoftmaxGradientStep(kernel: softmaxKernel(isLog: true))
    case .loss(let loss): return LossStep(self, loss)
    case .lossGradient(let loss): return LossGradientStep(self, loss)
    case .fill(let value, _): return FillStep(value: value, count: outputs[0].elementCount)
    case .constant(let value): return ConstantStep(value: value)
    case .choice:
      return ChoiceStep(
        kernel: ChoiceKernel(condition: inputs[0], inputs[1]),
        takesTruth: operandType == .bool)
    case .arithmetic(let operation):
      return ArithmeticStep(operation: operation, kernel: BroadcastKernel(inputs[0], inputs[1]))
    case .arithmeticGradient(let operand):
      return ArithmeticGradientStep(
        operand: operand, kernel: BroadcastKernel(inputs[1], inputs[2]))
    case .elementwise(let function):
      return ElementwiseStep(function: function, count: inputs[0].elementCount)
    case .reduction(let reduction):
      return ReductionStep(
        kernel: ReductionKernel(inputs[0], reduction), parallelism: parallelism)
    case .extremeGradient(let reduction):
      return ExtremeGradientStep(kernel: ReductionKernel(inputs[1], reduction))
    case .expand(_, let divides):
      return ExpandStep(kernel: ExpansionKernel(from: inputs[0], to: outputs[0], divides: divides))
    case .parametricReLU:
      return ParametricReLUStep(
        kernel: ParametricReLUKernel(inputs[0], slopes: inputs[1].elementCount))
    case .parametricReLUGradient:
      return ParametricReLUGradientStep(
        kernel: ParametricReLUKernel(inputs[1], slopes: inputs[2].elementCount),
        parallelism: parallelism)
    case .dropout(let dropout):
      return DropoutStep(
        kernel: DropoutKernel(dropout, inputs[0]), parallelism: parallelism)
    }
  }

  private func mixtureKernel(_ mixture: MomentsMixture, from first: Int) -> MomentsMixtureKernel {
    let operands = inputs[first...]
    return MomentsMixtureKernel(
      mixture, tables: Array(operands.prefix(mixture.count)),
      weights: Array(operands.dropFirst(mixture.count)))
  }

  private func softmaxKernel(isLog: Bool) -> SoftmaxKernel {
    SoftmaxKernel(rows: inputs[0].rowCount, columns: inputs[0].channelCount, isLog: isLog)
  }

  private func convolution(
    _ geometry: ConvolutionGeometry, _ algorithm: ConvolutionAlgorithm? = nil
  ) throws(KeelError) -> ConvolutionKernel {
    try ConvolutionKernel(
      geometry, batch: inputs[0][0], algorithm: algorithm,
      input: inputParts
        ?? [InputPart(channels: geometry.inputChannels, stride: inputStrides[0])],
      outputStride: outputStrides[0], inputMap: prologue?.map(of: inputs[0]),
      gathersMoments: gatheredPartition != nil)
  }

  private func transposedConvolution(
    _ geometry: ConvolutionGeometry
  ) throws(KeelError) -> TransposedConvolutionKernel {
    try TransposedConvolutionKernel(
      geometry, batch: inputs[0][0], inputStride: inputStrides[0], outputStride: outputStrides[0])
  }

  private func pooling(_ geometry: PoolingGeometry) -> PoolingKernel {
    PoolingKernel(
      geometry, batch: inputs[0][0], inputStride: inputStrides[0], outputStride: outputStrides[0])
  }

  /// A linear layer as the 1×1 convolution that it is.
  private func linearGeometry(weight index: Int) throws(KeelError) -> ConvolutionGeometry {
    try .linear(inputs: inputs[index][1], outputs: inputs[index][0], place: node.label)
  }
}
