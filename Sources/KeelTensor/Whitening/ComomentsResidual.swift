/// What the gradient of co-moments is added to.
public enum ComomentsResidual: Hashable, Sendable {
  /// Nothing.
  case none
  /// A tensor of x's shape.
  case given
  /// The gradient of a block map of x with the same blocks, dy·matrixᵀ.
  case mapped

  /// The operands that it takes.
  public var operandCount: Int {
    switch self {
    case .none: 0
    case .given: 1
    case .mapped: 2
    }
  }
}
