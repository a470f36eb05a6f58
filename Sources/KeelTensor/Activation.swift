/// An elementwise function that can stand by itself or at the end of another operation.
///
/// NaN passes through every one of them. At ±∞ each has its limit, also where a product would give NaN:
/// SiLU, GELU and hard swish are 0 at −∞. At a corner the derivative is the one on the left, and for
/// `clip` and `hardSigmoid` 0.
public enum Activation: Hashable, Sendable {
  /// max(x, 0); its derivative at 0 is 0.
  case relu
  /// σ(x) = 1/(1 + e^−x).
  case sigmoid
  /// tanh x.
  case tanh
  /// x for x > 0, otherwise slope·x; the slope is above 0.
  case leakyReLU(slope: Float = 0.01)
  /// x for x > 0, otherwise α·(e^x − 1), with α at least 0 (Clevert et al. 2016, 1511.07289).
  case elu(alpha: Float = 1)
  /// λ·x for x > 0, otherwise λ·α·(e^x − 1), with the constants `seluScale` and `seluAlpha`
  /// (Klambauer et al. 2017, 1706.02515).
  case selu
  /// log(1 + e^x), computed as max(x, 0) + log1p(e^−|x|).
  case softplus
  /// x·Φ(x) with the normal distribution function Φ, or its approximation by tanh
  /// (Hendrycks and Gimpel 2016, 1606.08415).
  case gelu(GELUForm = .exact)
  /// x·σ(x).
  case silu
  /// min(max(x/6 + 1/2, 0), 1).
  case hardSigmoid
  /// x·min(max(x/6 + 1/2, 0), 1) (Howard et al. 2019, 1905.02244).
  case hardSwish
  /// min(max(x, low), high), low ≤ high; either may be infinite.
  case clip(low: Float, high: Float)

  /// The forms of GELU.
  public enum GELUForm: Hashable, Sendable {
    /// x·(1 + erf(x/√2))/2.
    case exact
    /// x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2.
    case tanh
  }

  /// Which value of the forward pass a derivative is computed from.
  public enum GradientOperand: Hashable, Sendable {
    /// The argument x.
    case input
    /// The result y: x need not be kept, and an epilogue can have the function.
    case result
  }

  /// λ of SELU.
  public static let seluScale = 1.0507009873554804934
  /// α of SELU.
  public static let seluAlpha = 1.6732632423543772848

  /// Which value the derivative is computed from: the result, except where one result has two arguments
  /// of different slope. From the result, a derivative near 0 (1 − y² of tanh) is exact to the rounding of
  /// numbers around 1, not to its own.
  public var gradientOperand: GradientOperand {
    switch self {
    case .relu, .sigmoid, .tanh, .leakyReLU, .elu, .selu, .softplus, .hardSigmoid, .clip: .result
    case .gelu, .silu, .hardSwish: .input
    }
  }

  /// The name in the field's terms, for messages and reports.
  public var name: String {
    switch self {
    case .relu: "ReLU"
    case .sigmoid: "sigmoid"
    case .tanh: "tanh"
    case .leakyReLU: "leaky ReLU"
    case .elu: "ELU"
    case .selu: "SELU"
    case .softplus: "softplus"
    case .gelu(.exact): "GELU"
    case .gelu(.tanh): "GELU (tanh)"
    case .silu: "SiLU"
    case .hardSigmoid: "hard sigmoid"
    case .hardSwish: "hard swish"
    case .clip: "clip"
    }
  }

  /// Checks the parameters.
  /// - Throws: `KeelError` of kind `argument` for a slope not above 0, an α below 0, either not
  ///   finite, and bounds that are NaN or the wrong way round.
  public func validate(at place: String) throws(KeelError) {
    switch self {
    case .leakyReLU(let slope) where !(slope > 0 && slope.isFinite):
      throw KeelError(
        .argument, at: place, expected: "a finite slope above 0 for leaky ReLU",
        found: "\(slope)")
    case .elu(let alpha) where !(alpha >= 0 && alpha.isFinite):
      throw KeelError(
        .argument, at: place, expected: "a finite alpha of at least 0 for ELU", found: "\(alpha)")
    case .clip(let low, let high) where !(low <= high):
      throw KeelError(
        .argument, at: place, expected: "low ≤ high for clip", found: "\(low) and \(high)")
    default: return
    }
  }
}

/// bias per channel, add a residual of the result's shape, apply an activation.
public struct Epilogue: Hashable, Sendable {
  /// Whether a bias per channel is an operand.
  public var hasBias: Bool
  /// Whether a residual of the result's shape is an operand.
  public var hasResidual: Bool
  /// The activation, if any.
  public var activation: Activation?

  /// Makes an epilogue.
  public init(hasBias: Bool = false, hasResidual: Bool = false, activation: Activation? = nil) {
    self.hasBias = hasBias
    self.hasResidual = hasResidual
    self.activation = activation
  }

  /// Whether there is nothing to do.
  public var isEmpty: Bool { !hasBias && !hasResidual && activation == nil }
}
