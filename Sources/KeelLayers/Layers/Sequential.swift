import KeelGraph

/// Applies layers one after the other; none is the identity. Paths are positions: `0.weight`.
public struct Sequential: Layer, CustomReflectable {
  /// The layers, first to last.
  public var layers: [any Layer]

  /// Makes a sequence.
  public init(_ layers: [any Layer]) { self.layers = layers }

  /// Makes a sequence.
  public init(_ layers: any Layer...) { self.init(layers) }

  /// Records the layers.
  public func callAsFunction(_ x: Variable) -> Variable { layers.reduce(x) { $1($0) } }

  /// The layers without the name of the property that holds them: what makes paths short.
  public var customMirror: Mirror {
    Mirror(self, unlabeledChildren: layers, displayStyle: .collection)
  }
}
