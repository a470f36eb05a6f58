import KeelTensor

extension Variable {
  /// f(x).
  public func activated(_ activation: Activation) -> Variable {
    trace.apply(.activation(activation), [self])[0]
  }

  /// max(x, 0).
  public func relu() -> Variable { activated(.relu) }

  /// 1/(1 + e^−x).
  public func sigmoid() -> Variable { activated(.sigmoid) }

  /// tanh x.
  public func tanh() -> Variable { activated(.tanh) }

  /// x for x > 0, otherwise slope·x.
  public func leakyReLU(slope: Float = 0.01) -> Variable { activated(.leakyReLU(slope: slope)) }

  /// x for x > 0, otherwise α·(e^x − 1).
  public func elu(alpha: Float = 1) -> Variable { activated(.elu(alpha: alpha)) }

  /// λ·x for x > 0, otherwise λ·α·(e^x − 1), with the constants of self-normalizing networks.
  public func selu() -> Variable { activated(.selu) }

  /// log(1 + e^x).
  public func softplus() -> Variable { activated(.softplus) }

  /// x·Φ(x), exact or by tanh.
  public func gelu(form: Activation.GELUForm = .exact) -> Variable { activated(.gelu(form)) }

  /// x/(1 + e^−x).
  public func silu() -> Variable { activated(.silu) }

  /// min(max(x/6 + 1/2, 0), 1).
  public func hardSigmoid() -> Variable { activated(.hardSigmoid) }

  /// x·min(max(x/6 + 1/2, 0), 1).
  public func hardSwish() -> Variable { activated(.hardSwish) }

  /// min(max(x, low), high).
  public func clip(low: Float, high: Float) -> Variable { activated(.clip(low: low, high: high)) }
}
