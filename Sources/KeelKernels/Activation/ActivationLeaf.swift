internal import CKeelLoops
internal import KeelTensor

extension Activation {
  /// The function as leaf loops take it.
  internal var leaf: KeelActivation {
    switch self {
    case .relu: .init(KEEL_RELU)
    case .sigmoid: .init(KEEL_SIGMOID)
    case .tanh: .init(KEEL_TANH)
    case .leakyReLU(let slope): .init(KEEL_LEAKY_RELU, slope)
    case .elu(let alpha): .init(KEEL_ELU, 1, alpha)
    case .selu:
      .init(
        KEEL_ELU, Float(Activation.seluScale), Float(Activation.seluScale * Activation.seluAlpha))
    case .softplus: .init(KEEL_SOFTPLUS)
    case .gelu(.exact): .init(KEEL_GELU)
    case .gelu(.tanh): .init(KEEL_GELU_TANH)
    case .silu: .init(KEEL_SILU)
    case .hardSigmoid: .init(KEEL_HARD_SIGMOID)
    case .hardSwish: .init(KEEL_HARD_SWISH)
    case .clip(let low, let high): .init(KEEL_CLIP, low, high)
    }
  }
}

extension KeelActivation {
  fileprivate init(_ kind: Int, _ a: Float = 0, _ b: Float = 0) {
    self.init(kind: Int32(kind), a: a, b: b)
  }

  /// Operations per element, roughly, to tell whether a second thread is worth waking.
  internal var workPerElement: Int {
    switch Int(kind) {
    case KEEL_RELU, KEEL_LEAKY_RELU, KEEL_HARD_SIGMOID, KEEL_HARD_SWISH, KEEL_CLIP: 1
    default: 8
    }
  }
}
