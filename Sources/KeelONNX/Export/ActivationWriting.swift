import KeelGraph
import KeelTensor

/// Activations, functions of one operand, and epilogues.
extension GraphExporter {
  func apply(_ activation: Activation, _ x: WrittenValue) -> WrittenValue {
    switch activation {
    case .relu: return apply("Relu", x)
    case .sigmoid: return apply("Sigmoid", x)
    case .tanh: return apply("Tanh", x)
    case .leakyReLU(let slope): return apply("LeakyRelu", x, [], [.float("alpha", slope)])
    case .elu(let alpha): return apply("Elu", x, [], [.float("alpha", alpha)])
    case .selu:
      return apply(
        "Selu", x, [],
        [
          .float("alpha", Float(Activation.seluAlpha)),
          .float("gamma", Float(Activation.seluScale)),
        ])
    case .softplus: return apply("Softplus", x)
    case .gelu(let form):
      return apply("Gelu", x, [], [.string("approximate", form == .exact ? "none" : "tanh")])
    case .silu: return combine("Mul", x, apply("Sigmoid", x))
    case .hardSigmoid:
      return apply("HardSigmoid", x, [], [.float("alpha", 1 / 6), .float("beta", 0.5)])
    case .hardSwish: return apply("HardSwish", x)
    case .clip(let low, let high):
      // A bound that is infinite is left out; trailing operands must be.
      let bounds = [low, high].map { $0.isFinite ? name(number($0)) : "" }
      let operands = bounds[1].isEmpty ? (bounds[0].isEmpty ? [] : [bounds[0]]) : bounds
      return apply("Clip", x, operands)
    }
  }

  func apply(_ function: ElementwiseFunction, _ x: WrittenValue) -> WrittenValue {
    switch function {
    case .negate: apply("Neg", x)
    case .absolute: apply("Abs", x)
    case .exponential: apply("Exp", x)
    case .logarithm: apply("Log", x)
    case .squareRoot: apply("Sqrt", x)
    case .reciprocal: apply("Reciprocal", x)
    case .square: combine("Mul", x, x)
    case .sign: apply("Sign", x)
    case .errorFunction: apply("Erf", x)
    }
  }

  /// The residual and the activation of an epilogue, as nodes of their own.
  func finished(
    _ y: WrittenValue, residual: WrittenValue?, _ activation: Activation?
  ) -> WrittenValue {
    var y = y
    if let residual { y = combine("Add", y, residual) }
    if let activation { y = apply(activation, y) }
    return y
  }
}
