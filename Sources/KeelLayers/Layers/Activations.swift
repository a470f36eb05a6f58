import KeelGraph
import KeelTensor

// Each layer records one activation; parameters out of range are an error of the graph.

/// max(x, 0).
public struct ReLU: Layer {
  /// Makes the activation.
  public init() {}

  /// Records the activation.
  public func callAsFunction(_ x: Variable) -> Variable { x.relu() }
}

/// 1/(1 + e^−x).
public struct Sigmoid: Layer {
  /// Makes the activation.
  public init() {}

  /// Records the activation.
  public func callAsFunction(_ x: Variable) -> Variable { x.sigmoid() }
}

/// tanh x.
public struct Tanh: Layer {
  /// Makes the activation.
  public init() {}

  /// Records the activation.
  public func callAsFunction(_ x: Variable) -> Variable { x.tanh() }
}

/// x for x > 0, otherwise slope·x.
public struct LeakyReLU: Layer {
  /// The factor below 0, above 0 itself.
  public var slope: Float

  /// Makes the activation.
  public init(slope: Float = 0.01) {
    self.slope = slope
  }

  /// Records the activation.
  public func callAsFunction(_ x: Variable) -> Variable { x.leakyReLU(slope: slope) }
}

/// x for x > 0, otherwise α·(e^x − 1).
public struct ELU: Layer {
  /// α, at least 0.
  public var alpha: Float

  /// Makes the activation.
  public init(alpha: Float = 1) {
    self.alpha = alpha
  }

  /// Records the activation.
  public func callAsFunction(_ x: Variable) -> Variable { x.elu(alpha: alpha) }
}

/// λ·x for x > 0, otherwise λ·α·(e^x − 1), with the constants of self-normalizing networks.
public struct SELU: Layer {
  /// Makes the activation.
  public init() {}

  /// Records the activation.
  public func callAsFunction(_ x: Variable) -> Variable { x.selu() }
}

/// log(1 + e^x).
public struct Softplus: Layer {
  /// Makes the activation.
  public init() {}

  /// Records the activation.
  public func callAsFunction(_ x: Variable) -> Variable { x.softplus() }
}

/// x·Φ(x), exact or by tanh.
public struct GELU: Layer {
  /// The form.
  public var form: Activation.GELUForm

  /// Makes the activation.
  public init(form: Activation.GELUForm = .exact) {
    self.form = form
  }

  /// Records the activation.
  public func callAsFunction(_ x: Variable) -> Variable { x.gelu(form: form) }
}

/// x/(1 + e^−x).
public struct SiLU: Layer {
  /// Makes the activation.
  public init() {}

  /// Records the activation.
  public func callAsFunction(_ x: Variable) -> Variable { x.silu() }
}

/// min(max(x/6 + 1/2, 0), 1).
public struct HardSigmoid: Layer {
  /// Makes the activation.
  public init() {}

  /// Records the activation.
  public func callAsFunction(_ x: Variable) -> Variable { x.hardSigmoid() }
}

/// x·min(max(x/6 + 1/2, 0), 1).
public struct HardSwish: Layer {
  /// Makes the activation.
  public init() {}

  /// Records the activation.
  public func callAsFunction(_ x: Variable) -> Variable { x.hardSwish() }
}

/// min(max(x, low), high).
public struct Clip: Layer {
  /// The lower bound.
  public var low: Float
  /// The upper bound, not below `low`.
  public var high: Float

  /// Makes the activation.
  public init(low: Float, high: Float) {
    self.low = low
    self.high = high
  }

  /// Records the activation.
  public func callAsFunction(_ x: Variable) -> Variable { x.clip(low: low, high: high) }
}

/// Softmax along the last axis.
public struct Softmax: Layer {
  /// Makes the layer.
  public init() {}

  /// Records the softmax.
  public func callAsFunction(_ x: Variable) -> Variable { x.softmax() }
}

/// The logarithm of softmax along the last axis.
public struct LogSoftmax: Layer {
  /// Makes the layer.
  public init() {}

  /// Records the logarithm of softmax.
  public func callAsFunction(_ x: Variable) -> Variable { x.logSoftmax() }
}
