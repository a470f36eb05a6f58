import BenchmarkHarness
import Keel

/// What `whiten` asks for: one pass of one whitening.
struct WhiteningRequest: Decodable {
  let method: WhiteningCase.Method
  let blockSize: Int
  let extents: [Int]
  let trains: Bool
  let threads: Int
}

/// A whitening with its operands, ready to run.
final class PreparedWhitening: PreparedWork {
  private let graph: PlannedGraph

  /// Prepares a pass.
  /// - Parameter load: an operand by its name, in Keel's layout.
  init(
    _ request: WhiteningRequest, load: (String, Shape) throws(KeelError) -> Tensor
  ) throws(KeelError) {
    let line = WhiteningCase(
      request.method, blockSize: request.blockSize, Shape(request.extents))
    let graph = try line.graph(trains: request.trains)
    var inputs: [String: Tensor] = [:]
    for (name, shape) in NormalizationCase.inputShapes(of: graph) {
      inputs[name] = try load(name, shape)
    }
    self.graph = try PlannedGraph(graph, inputs: inputs, threads: request.threads)
  }

  func run() throws(KeelError) { try graph.run() }

  /// `y`, `dx` or `dstyle`.
  func result(_ name: String) throws(KeelError) -> Tensor {
    try graph.output(name == "y" ? name : Graph.gradientName(String(name.dropFirst())))
  }
}
