import KeelGraph
import KeelLayers
import KeelTensor

/// The type of a model's result.
func resultType(
  _ model: some Layer, _ input: [Extent], mode: Trace.Mode = .inference
) throws -> ValueType {
  let graph = try Graph(tracing: model, input: input, mode: mode)
  return graph.type(of: try graph.output(named: "y").value)
}

/// The error of a model that cannot be recorded.
func failure(
  _ model: some Layer, _ input: [Extent], mode: Trace.Mode = .inference
) -> KeelError? {
  do throws(KeelError) {
    _ = try Graph(tracing: model, input: input, mode: mode)
    return nil
  } catch { return error }
}

/// A model of one layer at the path `net.conv`.
struct Model<Wrapped: Layer>: Layer {
  struct Net: Sendable {
    let conv: Wrapped
  }
  let net: Net

  init(_ layer: Wrapped) { net = Net(conv: layer) }

  func callAsFunction(_ x: Variable) -> Variable { net.conv(x) }
}

/// The names of a graph's operations, in order.
func operations(_ graph: Graph) -> [String] { graph.nodes.map(\.primitive.name) }

/// The geometries of a graph's convolutions, in order.
func convolutions(_ graph: Graph) -> [ConvolutionGeometry] {
  graph.nodes.compactMap {
    if case .convolution(let geometry, _) = $0.primitive { geometry } else { nil }
  }
}
