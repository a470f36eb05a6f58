import BenchmarkHarness
import Keel

/// What `normalize` asks for: one pass of one normalization.
struct NormalizationRequest: Decodable {
  let method: NormalizationCase.Method
  let form: NormalizationCase.Form
  let pass: NormalizationCase.Pass
  let extents: [Int]
  let groups: Int
  let threads: Int
}

/// A normalization with its operands, ready to run.
final class PreparedNormalization: PreparedWork {
  private let graph: PlannedGraph

  /// Prepares a pass.
  /// - Parameter load: an operand by its name, in Keel's layout.
  init(
    _ request: NormalizationRequest, load: (String, Shape) throws(KeelError) -> Tensor
  ) throws(KeelError) {
    let line = NormalizationCase(request.method, request.form, Shape(request.extents))
    guard request.method != .group || request.groups == line.groups else {
      throw KeelError(
        .argument, at: "groups", expected: "\(line.groups)", found: "\(request.groups)")
    }
    let graph = try line.graph(request.pass)
    var inputs: [String: Tensor] = [:]
    for (name, shape) in NormalizationCase.inputShapes(of: graph) {
      inputs[name] = try load(name, shape)
    }
    self.graph = try PlannedGraph(graph, inputs: inputs, threads: request.threads)
  }

  func run() throws(KeelError) { try graph.run() }

  func result(_ name: String) throws(KeelError) -> Tensor { try graph.output(name) }
}
