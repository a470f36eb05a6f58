import KeelGraph
import KeelTensor

/// The operators that Keel reads, by name.
extension GraphImporter {
  /// The results of a node, or nil for an operator that Keel does not read.
  func results(of node: ONNXNode) throws(KeelError) -> [ImportedValue]? {
    if let results = try windowed(node) { return results }
    if let results = try elementwise(node) { return results }
    if let results = try reduced(node) { return results }
    return try moved(node)
  }

  /// Operators with weights or windows, and normalizations.
  private func windowed(_ node: ONNXNode) throws(KeelError) -> [ImportedValue]? {
    switch node.proto.opType {
    case "Conv": try convolution(node)
    case "ConvTranspose": try transposedConvolution(node)
    case "Gemm": try gemm(node)
    case "MatMul": try matMul(node)
    case "MaxPool": try maxPool(node)
    case "AveragePool": try averagePool(node)
    case "LpPool": try lpPool(node)
    case "GlobalAveragePool": try globalPool(node, .mean)
    case "GlobalMaxPool": try globalPool(node, .maximum)
    case "GlobalLpPool": try globalLpPool(node)
    case "BatchNormalization": try batchNormalization(node)
    case "InstanceNormalization": try instanceNormalization(node)
    case "GroupNormalization": try groupNormalization(node)
    case "LayerNormalization": try layerNormalization(node)
    case "RMSNormalization": try rmsNormalization(node)
    case "LpNormalization": try lpNormalization(node)
    case "MeanVarianceNormalization": try meanVarianceNormalization(node)
    case "LRN": try localResponseNormalization(node)
    case "Softmax": try softmax(node, .softmax)
    case "LogSoftmax": try softmax(node, .logSoftmax)
    case "Col2Im": try columnsToImage(node)
    case "NegativeLogLikelihoodLoss": try negativeLogLikelihood(node)
    case "SoftmaxCrossEntropyLoss": try softmaxCrossEntropy(node)
    default: nil
    }
  }

  /// Operators that make each element from those at its place.
  private func elementwise(_ node: ONNXNode) throws(KeelError) -> [ImportedValue]? {
    switch node.proto.opType {
    case "Relu": try activation(node, .relu)
    case "Sigmoid": try activation(node, .sigmoid)
    case "Tanh": try activation(node, .tanh)
    case "Softplus": try activation(node, .softplus)
    case "HardSwish": try activation(node, .hardSwish)
    case "LeakyRelu": try leakyReLU(node)
    case "Elu": try activation(node, .elu(alpha: try node.float("alpha", 1)))
    case "Celu": try celu(node)
    case "Selu": try selu(node)
    case "HardSigmoid": try hardSigmoid(node)
    case "Gelu": try gelu(node)
    case "Clip": try clip(node)
    case "PRelu": try parametricReLU(node)
    case "Mish": try mish(node)
    case "Swish": try swish(node)
    case "Softsign": try softsign(node)
    case "Abs": try function(node, .absolute)
    case "Neg": try function(node, .negate)
    case "Exp": try function(node, .exponential)
    case "Log": try function(node, .logarithm)
    case "Sqrt": try function(node, .squareRoot)
    case "Reciprocal": try function(node, .reciprocal)
    case "Sign": try function(node, .sign)
    case "Erf": try function(node, .errorFunction)
    case "Add": try arithmetic(node, .add)
    case "Sub": try arithmetic(node, .subtract)
    case "Mul": try arithmetic(node, .multiply)
    case "Div": try arithmetic(node, .divide)
    case "Pow": try arithmetic(node, .power)
    case "Sum": try variadic(node, .add)
    case "Max": try variadic(node, .maximum)
    case "Min": try variadic(node, .minimum)
    case "Mean": try mean(node)
    case "Equal": try comparison(node, ==)
    case "Greater": try comparison(node, >)
    case "Less": try comparison(node, <)
    case "GreaterOrEqual": try comparison(node, >=)
    case "LessOrEqual": try comparison(node, <=)
    case "Not": try not(node)
    case "Where": try choice(node)
    case "Floor": try rounded(node, .down)
    case "Ceil": try rounded(node, .up)
    case "Identity": [try node.input(0)]
    case "Dropout": try dropout(node)
    case "Cast": try cast(node)
    case "CastLike": try castLike(node)
    default: nil
    }
  }

  /// Reductions.
  private func reduced(_ node: ONNXNode) throws(KeelError) -> [ImportedValue]? {
    switch node.proto.opType {
    case "ReduceSum": try reduction(node, .sum)
    case "ReduceMean": try reduction(node, .mean)
    case "ReduceMax": try reduction(node, .maximum)
    case "ReduceMin": try reduction(node, .minimum)
    case "ReduceL1": try reduction(node, .absoluteSum)
    case "ReduceL2": try reduction(node, .euclideanNorm)
    case "ReduceSumSquare": try reduction(node, .sum, before: .square)
    case "ReduceLogSum": try reduction(node, .sum, after: .logarithm)
    case "ReduceLogSumExp": try logSumExp(node)
    case "ReduceProd": try product(node)
    default: nil
    }
  }

  /// Operators that move elements, and those that make constants.
  private func moved(_ node: ONNXNode) throws(KeelError) -> [ImportedValue]? {
    switch node.proto.opType {
    case "Reshape": try reshape(node)
    case "Flatten": try flatten(node)
    case "Squeeze": try squeeze(node)
    case "Unsqueeze": try unsqueeze(node)
    case "Transpose": try transpose(node)
    case "Concat": try concat(node)
    case "Slice": try slice(node)
    case "Split": try split(node)
    case "Pad": try pad(node)
    case "Gather": try gather(node)
    case "Expand": try expand(node)
    case "Tile": try tile(node)
    case "Resize": try resize(node)
    case "Upsample": try upsample(node)
    case "DepthToSpace": try depthToSpace(node)
    case "SpaceToDepth": try spaceToDepth(node)
    case "Constant": try constant(node)
    case "ConstantOfShape": try constantOfShape(node)
    case "Shape": try shape(node)
    case "Size": try size(node)
    case "Range": try range(node)
    case "SequenceConstruct": try sequenceConstruct(node)
    case "SequenceAt": try sequenceAt(node)
    case "SequenceLength": try sequenceLength(node)
    case "SplitToSequence": try splitToSequence(node)
    default: nil
    }
  }
}
