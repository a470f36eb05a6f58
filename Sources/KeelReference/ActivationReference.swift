import KeelTensor

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Activations and their derivatives, of one number.
internal enum ActivationReference {
  /// f(x). NaN passes through.
  static func value(_ x: Double, _ activation: Activation) -> Double {
    switch activation {
    case .relu: x < 0 ? 0 : x
    case .sigmoid: sigmoid(x)
    case .tanh: tanh(x)
    case .leakyReLU(let slope): x > 0 ? x : Double(slope) * x
    case .elu(let alpha): x > 0 ? x : Double(alpha) * expm1(x)
    case .selu: Activation.seluScale * (x > 0 ? x : Activation.seluAlpha * expm1(x))
    case .softplus: (x < 0 ? 0 : x) + log1p(exp(-abs(x)))
    case .gelu(let form): x == -.infinity ? 0 : x * geluWeight(x, form)
    case .silu: x == -.infinity ? 0 : x * sigmoid(x)
    case .hardSigmoid: x <= -3 ? 0 : x >= 3 ? 1 : x / 6 + 0.5
    case .hardSwish: x <= -3 ? 0 : x >= 3 ? x : x * (x / 6 + 0.5)
    case .clip(let low, let high):
      x < Double(low) ? Double(low) : x > Double(high) ? Double(high) : x
    }
  }

  /// f′, from what `gradientOperand` says: y for some, x for others. Nil where f is flat: nothing passes
  /// there, not even NaN.
  static func slope(_ v: Double, _ activation: Activation) -> Double? {
    switch activation {
    case .relu: v > 0 ? 1 : nil
    case .sigmoid: v * (1 - v)
    case .tanh: 1 - v * v
    case .leakyReLU(let slope): v > 0 ? 1 : Double(slope)
    case .elu(let alpha): v > 0 ? 1 : v + Double(alpha)
    case .selu:
      v > 0 ? Activation.seluScale : v + Activation.seluScale * Activation.seluAlpha
    case .softplus: -expm1(-v)
    case .gelu(let form): geluSlope(v, form)
    case .silu: v.isInfinite ? (v > 0 ? 1 : 0) : sigmoid(v) * (1 + v * sigmoid(-v))
    case .hardSigmoid: v > 0 && v < 1 ? 1.0 / 6 : nil
    case .hardSwish: v <= -3 ? nil : v > 3 ? 1 : v / 3 + 0.5
    case .clip(let low, let high): v > Double(low) && v < Double(high) ? 1 : nil
    }
  }

  private static func sigmoid(_ x: Double) -> Double {
    x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x))
  }

  /// What GELU multiplies x with: Φ(x), or (1 + tanh u)/2 = σ(2u).
  private static func geluWeight(_ x: Double, _ form: Activation.GELUForm) -> Double {
    switch form {
    case .exact: erfc(-x / 2.0.squareRoot()) / 2
    case .tanh: sigmoid(2 * tanhArgument(x))
    }
  }

  private static func tanhArgument(_ x: Double) -> Double {
    (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)
  }

  private static func geluSlope(_ x: Double, _ form: Activation.GELUForm) -> Double {
    guard !x.isInfinite else { return x > 0 ? 1 : 0 }
    let weight = geluWeight(x, form)
    switch form {
    case .exact: return weight + x * exp(-x * x / 2) / (2 * Double.pi).squareRoot()
    case .tanh:
      let inner = 2 * (2 / Double.pi).squareRoot() * (1 + 3 * 0.044715 * x * x)
      return weight + x * weight * sigmoid(-2 * tanhArgument(x)) * inner
    }
  }
}
