import KeelGraph

/// max(x, 0).
public struct ReLU: Layer {
  /// Makes the activation.
  public init() {}

  /// Records the activation.
  public func callAsFunction(_ x: Variable) -> Variable { x.relu() }
}

/// Makes a matrix of N×…: the first axis stays, the others become one, in the order H, W, C. PyTorch's
/// order is C, H, W: the weight of a linear layer behind it has its columns in another order.
public struct Flatten: Layer {
  /// Makes the layer.
  public init() {}

  /// Records the change of shape.
  public func callAsFunction(_ x: Variable) -> Variable { x.flattened() }
}
