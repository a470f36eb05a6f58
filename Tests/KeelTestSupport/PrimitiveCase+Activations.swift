import KeelGraph
import KeelTensor

extension Activation {
  /// One of each kind, with parameters away from their defaults where there are any.
  public static let everyKind: [Activation] = [
    .relu, .sigmoid, .tanh, .leakyReLU(slope: 0.1), .elu(alpha: 0.7), .selu, .softplus,
    .gelu(.exact), .gelu(.tanh), .silu, .hardSigmoid, .hardSwish, .clip(low: -1.5, high: 2.25),
  ]
}

extension PrimitiveCase {
  /// An activation of a wide tensor.
  public static func activation(_ activation: Activation, _ shape: Shape) -> PrimitiveCase {
    PrimitiveCase(
      "\(activation.name), \(shape)", .activation(activation), [Operand("x", shape, .wide)])
  }

  /// Every activation.
  public static let activations: [PrimitiveCase] = Activation.everyKind.map {
    activation($0, [5, 13])
  }
}
