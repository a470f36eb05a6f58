import KeelGraph

/// Makes a matrix of N×…: the first axis stays, the others become one, in the order H, W, C. PyTorch's
/// order is C, H, W: the weight of a linear layer behind it has its columns in another order.
public struct Flatten: Layer {
  /// Makes the layer.
  public init() {}

  /// Records the change of shape.
  public func callAsFunction(_ x: Variable) -> Variable { x.flattened() }
}
