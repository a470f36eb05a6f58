import KeelGraph
import KeelTensor

/// A piece of a network: called like a function on a variable, it records what it does.
///
/// Layers are structs that hold their parameters by reference and other layers by value; a model is a
/// layer. A copy of a layer shares its parameters, so that what training writes is seen by all copies,
/// and a layer called twice uses the same weights twice. Paths of parameters come from property names,
/// see `ParameterNaming`.
///
/// A layer never throws where it is made or called: a wrong size is kept and thrown, with the layer's
/// path, when the graph is made.
public protocol Layer: Sendable {
  /// Records what the layer does to a variable.
  func callAsFunction(_ x: Variable) -> Variable
}

extension Layer {
  /// The parameters with their paths, in the order of the properties.
  public var parameters: [(path: String, parameter: Parameter)] {
    ParameterNaming.parameters(of: self)
  }

  /// The number of trainable values; running statistics do not count.
  public var trainableCount: Int {
    parameters.filter { $0.parameter.role == .trainable }
      .reduce(0) { $0 + $1.parameter.shape.elementCount }
  }
}

extension Trace {
  /// The path of the layer that holds a parameter; the layer's kind where the layer is the whole model
  /// or no part of it.
  internal func place(of parameter: Parameter, kind: String) -> String {
    guard path(of: parameter) != nil else { return kind }
    let path = layerPath(of: parameter)
    return path.isEmpty ? kind : path
  }
}
