import KeelGraph

/// Adds what a layer makes of its input to the input: y = f(x) + x, or f(x) + g(x) where f changes the
/// shape.
///
/// He et al. 2016, arXiv 1512.03385, which has a ReLU behind it.
public struct ResidualBlock<Body: Layer>: Layer {
  /// f.
  public var body: Body
  /// g; nil for the identity.
  public var shortcut: (any Layer)?

  /// Makes a block.
  public init(_ body: Body, shortcut: (any Layer)? = nil) {
    self.body = body
    self.shortcut = shortcut
  }

  /// Records the block, shortcut first, so that the sum can be fused into the end of `body`.
  public func callAsFunction(_ x: Variable) -> Variable {
    let skipped = shortcut.map { $0(x) } ?? x
    return body(x).addingResidual(skipped)
  }
}
