import KeelGraph

/// Takes the mean over all positions: N×…×C, with one to three axes between, becomes N×C.
public struct GlobalAveragePool: Layer {
  /// Makes a pooling.
  public init() {}

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable { x.globalAveragePooled() }
}

/// Takes the largest element over all positions: N×…×C, with one to three axes between, becomes N×C.
public struct GlobalMaxPool: Layer {
  /// Makes a pooling.
  public init() {}

  /// Records the pooling.
  public func callAsFunction(_ x: Variable) -> Variable { x.globalMaxPooled() }
}
