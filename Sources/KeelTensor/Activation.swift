/// An elementwise function that can stand by itself or at the end of another operation.
public enum Activation: Hashable, Sendable {
  /// max(x, 0); its derivative at 0 is 0; NaN passes through.
  case relu
}

/// What an operation does to each of its results before they leave the cache, in this order: add a
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
