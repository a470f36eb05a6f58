import KeelTensor

/// The one vocabulary of graphs: what layers trace to, importers read into, gradients append, passes
/// rewrite, the Double reference evaluates and plans run.
///
/// Each case names its operands and results in order. Adding a case makes the compiler ask for its
/// shape inference, gradient, reference and kernel.
public enum Primitive: Hashable, Sendable {
  /// (x, weight, bias?, residual?) → y: a convolution and its epilogue.
  case convolution(ConvolutionGeometry, Epilogue)
  /// (x, weight, bias?, residual?) → (y, moments): a convolution and its epilogue, and the moments of each
  /// channel of y over the batch, in the layout of `MomentsLayout`: gathered from each tile of y while it is
  /// in a cache, so that a batch norm need not read y for them.
  case convolutionWithMoments(ConvolutionGeometry, Epilogue)
  /// (x, weight, bias?, residual?) → y: the transposed convolution and its epilogue. The geometry is that of
  /// the convolution whose input gradient it is: x has its output's shape, y its input's, the weight its
  /// weight's. Bare, it is that gradient: (dy, weight) → dx.
  case transposedConvolution(ConvolutionGeometry, Epilogue)
  /// (x, dy) → dWeight.
  case convolutionWeightGradient(ConvolutionGeometry)

  /// (x, weight, bias?, residual?) → y: y = x·weightᵀ and its epilogue; x N×in, weight out×in.
  case linear(Epilogue)
  /// (dy, weight) → dx = dy·weight.
  case linearInputGradient
  /// (x, dy) → dWeight = dyᵀ·x.
  case linearWeightGradient

  /// (x, labels?, moments | mean, variance, scale?, shift?, residual?) → y, and with statistics `current`
  /// the moments of the cells as a second result. `NormalizationOperands` says where each stands.
  case normalization(Normalization)
  /// (dy, x, labels?, moments | mean, variance, scale?, shift?, y?) →
  /// (dx, dScale?, dShift?, dResidual?, dMoments?); y is an operand where the epilogue has both a residual
  /// and an activation. `NormalizationGradientOperands` says where each stands.
  case normalizationGradient(Normalization)
  /// (x, labels?, weights?) → the moments of the cells of a partition, in the layout of `MomentsLayout`.
  /// Weights are float32, at least 0, one per sample or per position: n = Σ w, mean = Σ w·x/n, and
  /// Σ w·(x − mean)².
  case moments(Partition, isWeighted: Bool)
  /// (dMoments, x, moments, labels?, weights?) → dx. Weights get no gradient.
  case momentsGradient(Partition, isWeighted: Bool)
  /// (moments…, ω?, ω′?) → the moments that they make together.
  case mixedMoments(MomentsMixture)
  /// (dMoments, moments…, ω?, ω′?) → the gradient of each operand of the mixture.
  case mixedMomentsGradient(MomentsMixture)
  /// (moments, mean, variance) → (mean′, variance′); cumulative, with the number of batches per cell:
  /// (moments, mean, variance, t) → (mean′, variance′, t′).
  case runningStatistics(RunningAverage)

  /// x → the co-moments of blocks of channels, in the layout of `ComomentsLayout`.
  case comoments(ChannelBlocks)
  /// (dCo-moments, x, co-moments, residual?) → dx, with the residual added: dx = residual + dMean/n +
  /// Σⱼ (dSᵢⱼ + dSⱼᵢ)·(xⱼ − meanⱼ). Only the rounded rows of the gradient are read. With a mapped residual
  /// (dCo-moments, x, co-moments, dy, matrix) → dx, the residual being dy·matrixᵀ.
  case comomentsGradient(ChannelBlocks, residual: ComomentsResidual)
  /// Co-moments → (matrix, factor?): the matrix that whitens or colors each block, packed as `BlockMap` takes
  /// it, and what its gradient starts from (`Whitening.hasFactor`): rows i of U by eigenvectors and a row of
  /// eigenvalues, or L packed as the matrix and a row of the shrinkage that it took.
  case whitening(Whitening, ChannelBlocks)
  /// (dMatrix, co-moments, matrix, factor?) → dCo-moments.
  case whiteningGradient(Whitening, ChannelBlocks)
  /// (x, centre?, matrix, shift?) → y: each block of channels through its matrix.
  case blockMap(BlockMap)
  /// (dy, x, centre?, matrix) → (dx?, dCentre?, dMatrix, dShift?); both rows of dCentre are the gradient of
  /// their sum. dx is made only where it is not left to the gradient of co-moments.
  case blockMapGradient(BlockMap, makesInput: Bool)
  /// (co-moments of all rows, mean, covariance?) → (mean′, covariance′?): running statistics after a batch,
  /// of its mean and its unbiased covariance S/(n − 1), packed as a matrix; the momentum is the weight of the
  /// new values.
  case runningComoments(momentum: Float, hasCovariance: Bool)
  /// (value, average) → average′ = (1 − m)·average + m·value.
  case movingAverage(momentum: Float)

  /// x → f(x).
  case activation(Activation)
  /// (dy, v) → dx = dy·f′, with v the forward result y or the argument x: what the activation's
  /// `gradientOperand` says. Where f is flat (a clipped or inactive element) dx is 0, whatever dy is.
  case activationGradient(Activation)

  /// x → y.
  case pooling(PoolingGeometry)
  /// (dy, x) → dx for maximum, dy → dx for average, (dy, x, y) → dx for L2.
  case poolingGradient(PoolingGeometry)
  /// x → (y, indices int64): max pooling and, for each element of y, the position of the maximum within
  /// its image, counted in row-major order over the spatial axes: (k·H + i)·W + j.
  case maxPoolingWithIndices(PoolingGeometry)

  /// x → y: slices, paddings and resizings, one along each axis. Axes of open extent stay whole.
  case movement(Movement)
  /// dy → dx of these extents: the movement turned round. A constant of a padding has no part in it.
  case movementGradient(Movement, [Extent])
  /// (a, b, …) → the operands one after another along an axis.
  case concatenation(axis: Int)
  /// x → y, whose axis k is axis permutation[k] of x.
  case transpose(permutation: [Int])

  /// x → the same elements under other extents.
  case reshape([Extent])
  /// x → x, through which no gradient flows: statistics that a loss does not see, state that is not trained.
  case detachment
  /// (table R×…, indices int64) → y[i] = table[indices[i]]: the extents of the indices, then those of a row
  /// of the table. Indices go from 0 to R − 1; others are refused.
  case selection
  /// (dy, indices) → dTable of so many rows: each row the sum, in the order of the indices, of what was
  /// selected from it; 0 where nothing was.
  case selectionGradient(rows: Int)
  /// x → p = e^x/Σ e^x along the last axis, with the largest x subtracted first. A row that holds NaN or
  /// +∞, or −∞ alone, is NaN throughout; −∞ among others is 0.
  case softmax
  /// (dy, p) → dx = p·(dy − Σ dy·p), from the result p.
  case softmaxGradient
  /// x → ℓ = x − log Σ e^x along the last axis, as `softmax`.
  case logSoftmax
  /// (dy, ℓ) → dx = dy − e^ℓ·Σ dy, from the result ℓ.
  case logSoftmaxGradient
  /// The operands and the result are those of the loss's kind and reduction.
  case loss(Loss)
  /// (the operands of the loss…, dLoss) → the gradient of the first operand; of both sides for ranking and
  /// consensus. dLoss has the shape of the loss's result.
  case lossGradient(Loss)
  /// () → a tensor of one value.
  case fill(Float, [Extent])
  /// () → integers or truth values that never change; floats are fills or weights.
  case constant(TensorValue)

  /// (condition, a, b) → a where the condition holds, otherwise b. a and b have the result's shape; the condition,
  /// truth values or numbers that hold unless they are 0, is broadcast to it. What is not taken does not matter,
  /// be it NaN; it gets a gradient of 0.
  case choice
  /// (a, b) → a ∘ b, broadcast as NumPy does: extents are aligned at the last axis, and an extent of 1, or
  /// one that is not there, takes that of the other operand, be it open or known.
  case arithmetic(Arithmetic)
  /// (dy, a, b) → what of dy goes to one of the operands, in dy's shape, which is that of a ∘ b.
  case arithmeticGradient(ArithmeticGradient)
  /// x → f(x).
  case elementwise(ElementwiseFunction)
  /// x → the sum, mean, extreme or norm along some axes.
  case reduction(Reduction)
  /// (dy, x) → dx of a maximum or minimum: dy at the first extreme in row-major order (the first NaN, if
  /// there is one), else 0. dy is as the reduction's result.
  case extremeGradient(Reduction)
  /// x → x broadcast to other extents, each copy divided by the number of copies where `divides` is true:
  /// the adjoint of the sum, and of the mean.
  case expand([Extent], divides: Bool = false)
  /// (x, slope) → x for x > 0, otherwise slope·x; slope has one element, or one per channel
  /// (He et al. 2015, 1502.01852).
  case parametricReLU
  /// (dy, x, slope) → (dx, dSlope).
  case parametricReLUGradient
  /// (x, seed) → x·m/(1 − p), with m 0 with probability p and otherwise 1; seed is an int64 scalar. Its own
  /// gradient: (dy, seed) → dx. Elements are multiplied by 0, so that NaN stays NaN
  /// (Srivastava et al. 2014).
  case dropout(DropoutMask)
}

extension Primitive {
  /// The operation's name in the field's terms, for messages and reports.
  public var name: String {
    switch self {
    case .convolution(let geometry, let epilogue):
      (geometry.isDepthwise ? "depthwise convolution" : "convolution") + Self.suffix(epilogue)
    case .convolutionWithMoments(let geometry, let epilogue):
      Self.convolution(geometry, epilogue).name + " with moments"
    case .transposedConvolution(let geometry, let epilogue):
      (geometry.isDepthwise ? "depthwise transposed" : "transposed") + " convolution"
        + Self.suffix(epilogue)
    case .convolutionWeightGradient: "convolution weight gradient"
    case .linear(let epilogue): "linear" + Self.suffix(epilogue)
    case .linearInputGradient: "linear input gradient"
    case .linearWeightGradient: "linear weight gradient"
    case .normalization(let normalization):
      normalization.name + Self.suffix(normalization.epilogue)
    case .normalizationGradient(let normalization): "\(normalization.name) gradient"
    case .moments: "moments"
    case .momentsGradient: "moments gradient"
    case .mixedMoments(let mixture): "\(mixture.kind.rawValue) moments"
    case .mixedMomentsGradient(let mixture): "\(mixture.kind.rawValue) moments gradient"
    case .runningStatistics: "running statistics"
    case .comoments: "co-moments"
    case .comomentsGradient: "co-moments gradient"
    case .whitening(let rule, _): rule.name
    case .whiteningGradient(let rule, _): "\(rule.name) gradient"
    case .blockMap: "block map"
    case .blockMapGradient: "block map gradient"
    case .runningComoments: "running co-moments"
    case .movingAverage: "moving average"
    case .activation(let activation): activation.name
    case .activationGradient(let activation): "\(activation.name) gradient"
    case .pooling(let geometry): geometry.kind.name
    case .maxPoolingWithIndices: "max pooling with indices"
    case .poolingGradient: "pooling gradient"
    case .movement(let movement): movement.name
    case .movementGradient(let movement, _): "\(movement.name) gradient"
    case .concatenation: "concatenation"
    case .transpose: "transpose"
    case .reshape: "reshape"
    case .detachment: "detachment"
    case .selection: "selection"
    case .selectionGradient: "selection gradient"
    case .softmax: "softmax"
    case .softmaxGradient: "softmax gradient"
    case .logSoftmax: "log-softmax"
    case .logSoftmaxGradient: "log-softmax gradient"
    case .loss(let loss): "\(loss.name) loss"
    case .lossGradient(let loss): "\(loss.name) loss gradient"
    case .fill: "fill"
    case .constant: "constant"
    case .choice: "choice"
    case .arithmetic(let operation): operation.rawValue
    case .arithmeticGradient(let operand): "\(operand.rawValue) gradient"
    case .elementwise(let function): function.name
    case .reduction(let reduction): "\(reduction.kind.name) reduction"
    case .extremeGradient(let reduction): "\(reduction.kind.name) reduction gradient"
    case .expand: "expand"
    case .parametricReLU: "PReLU"
    case .parametricReLUGradient: "PReLU gradient"
    case .dropout: "dropout"
    }
  }

  private static func suffix(_ epilogue: Epilogue) -> String {
    var text = epilogue.hasResidual ? " + add" : ""
    if let activation = epilogue.activation { text += " + \(activation.name)" }
    return text
  }

  /// The epilogue, of the operations that have one which may grow. That of a convolution with moments may
  /// not: the moments are those of what it makes now.
  public var epilogue: Epilogue? {
    switch self {
    case .convolution(_, let epilogue), .transposedConvolution(_, let epilogue),
      .linear(let epilogue):
      epilogue
    case .normalization(let normalization): normalization.epilogue
    default: nil
    }
  }

  /// The same operation with another epilogue, or nil for operations that have none.
  public func replacingEpilogue(_ epilogue: Epilogue) -> Primitive? {
    switch self {
    case .convolution(let geometry, _): return .convolution(geometry, epilogue)
    case .transposedConvolution(let geometry, _):
      return .transposedConvolution(geometry, epilogue)
    case .linear: return .linear(epilogue)
    case .normalization(let normalization):
      return .normalization(normalization.replacing(epilogue: epilogue))
    default: return nil
    }
  }

  /// The number of results.
  public var resultCount: Int {
    switch self {
    case .convolutionWithMoments: 2
    case .normalization(let n): n.statistics == .current ? 2 : 1
    case .normalizationGradient(let n): NormalizationGradientOperands(n).resultCount
    case .mixedMomentsGradient(let mixture): mixture.operandCount
    case .runningStatistics(.cumulative): 3
    case .whitening(let rule, _): rule.hasFactor ? 2 : 1
    case .blockMapGradient(let map, let makesInput): map.operandCount - (makesInput ? 0 : 1)
    case .runningComoments(_, let hasCovariance): hasCovariance ? 2 : 1
    case .runningStatistics, .parametricReLUGradient, .maxPoolingWithIndices: 2
    case .lossGradient(let loss): loss.gradientCount
    default: 1
    }
  }
}
