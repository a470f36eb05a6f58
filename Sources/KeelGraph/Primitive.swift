import KeelTensor

/// The one vocabulary of graphs: what layers trace to, importers read into, gradients append, passes
/// rewrite, the Double reference evaluates and plans run.
///
/// Each case names its operands and results in order. Adding a case makes the compiler ask for its
/// shape inference, gradient, reference and kernel.
public enum Primitive: Hashable, Sendable {
  /// (x, weight, bias?, residual?) → y: a convolution and its epilogue.
  case convolution(ConvolutionGeometry, Epilogue)
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

  /// Statistics `current`: (x, scale?, shift?, residual?) → (y, moments).
  /// Statistics `given`: (x, mean, variance, scale?, shift?, residual?) → y.
  case normalization(Normalization)
  /// (dy, x, moments | mean, variance, scale?, shift?, y?) → (dx, dScale?, dShift?, dResidual?); y is an
  /// operand where the epilogue has both a residual and an activation.
  case normalizationGradient(Normalization)
  /// (moments, mean, variance) → (mean′, variance′): running ← (1 − momentum)·running + momentum·new,
  /// with the unbiased variance; momentum is the weight of the new value.
  case runningStatistics(momentum: Float)

  /// x → f(x).
  case activation(Activation)
  /// (dy, v) → dx = dy·f′, with v the forward result y or the argument x: what the activation's
  /// `gradientOperand` says. Where f is flat (a clipped or inactive element) dx is 0, whatever dy is.
  case activationGradient(Activation)
  /// (a, b) → a + b, of equal shapes.
  case add
  /// x → the sum over all axes but the last.
  case channelSum

  /// x → y.
  case pooling(PoolingGeometry)
  /// (dy, x) → dx for maximum, dy → dx for average.
  case poolingGradient(PoolingGeometry)
  /// x N×H×W×C → N×C: the mean over positions.
  case globalAveragePooling
  /// dy N×C → dx N×H×W×C.
  case globalAveragePoolingGradient(height: Int, width: Int)

  /// x → the same elements under other extents.
  case reshape([Extent])
  /// x → softmax along the last axis.
  case softmax
  /// (logits N×K, labels N) → the mean over samples of −log softmax(logits)[label].
  case softmaxCrossEntropy
  /// (logits, labels, dLoss) → dLogits.
  case softmaxCrossEntropyGradient
  /// () → a tensor of one value.
  case fill(Float, [Extent])
}

extension Primitive {
  /// The operation's name in the field's terms, for messages and reports.
  public var name: String {
    switch self {
    case .convolution(let geometry, let epilogue):
      (geometry.isDepthwise ? "depthwise convolution" : "convolution") + Self.suffix(epilogue)
    case .transposedConvolution(let geometry, let epilogue):
      (geometry.isDepthwise ? "depthwise transposed" : "transposed") + " convolution"
        + Self.suffix(epilogue)
    case .convolutionWeightGradient: "convolution weight gradient"
    case .linear(let epilogue): "linear" + Self.suffix(epilogue)
    case .linearInputGradient: "linear input gradient"
    case .linearWeightGradient: "linear weight gradient"
    case .normalization(let normalization): "batch norm" + Self.suffix(normalization.epilogue)
    case .normalizationGradient: "batch norm gradient"
    case .runningStatistics: "running statistics"
    case .activation(let activation): activation.name
    case .activationGradient(let activation): "\(activation.name) gradient"
    case .add: "add"
    case .channelSum: "channel sum"
    case .pooling(let geometry): geometry.kind == .maximum ? "max pooling" : "average pooling"
    case .poolingGradient: "pooling gradient"
    case .globalAveragePooling: "global average pooling"
    case .globalAveragePoolingGradient: "global average pooling gradient"
    case .reshape: "reshape"
    case .softmax: "softmax"
    case .softmaxCrossEntropy: "softmax cross-entropy"
    case .softmaxCrossEntropyGradient: "softmax cross-entropy gradient"
    case .fill: "fill"
    }
  }

  private static func suffix(_ epilogue: Epilogue) -> String {
    var text = epilogue.hasResidual ? " + add" : ""
    if let activation = epilogue.activation { text += " + \(activation.name)" }
    return text
  }

  /// The epilogue, of the operations that have one.
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
    case .normalization(var normalization):
      normalization.epilogue = epilogue
      return .normalization(normalization)
    default: return nil
    }
  }

  /// The number of results.
  public var resultCount: Int {
    switch self {
    case .normalization(let n): n.statistics == .current ? 2 : 1
    case .normalizationGradient(let n):
      1 + (n.hasAffine ? 2 : 0) + (n.epilogue.hasResidual ? 1 : 0)
    case .runningStatistics: 2
    default: 1
    }
  }
}
