import BenchmarkHarness
import Foundation
import Keel
import KeelONNX

/// What `network` asks for: an ONNX file, folded and planned.
struct NetworkRequest: Decodable {
  let path: String
  /// The value of the one extent that the file may leave open.
  let batch: Int
  let threads: Int
  /// Whether Winograd's filtering is left out.
  let exact: Bool
}

/// A network with its input, ready to run.
///
/// Its input and its results have the file's own order of axes, so that every side of a comparison is given
/// the same bytes. Only the plan and its workspace stay in memory.
final class PreparedNetwork: PreparedWork {
  private let graph: PlannedGraph

  /// Prepares a network of one input.
  /// - Parameter load: an operand by its name, in the file's own order of axes.
  /// - Throws: `KeelError` for a file that cannot be read or is not supported, one that leaves open more
  ///   than the batch, and a batch that it is not made for.
  init(
    _ request: NetworkRequest, load: (String, Shape) throws(KeelError) -> Tensor
  ) throws(KeelError) {
    guard request.batch >= 1, request.threads >= 1 else {
      throw KeelError(
        .argument, at: "network", expected: "a batch and threads of at least 1",
        found: "batch \(request.batch), threads \(request.threads)")
    }
    let model = try ONNXModel(contentsOf: URL(filePath: request.path))
    let open = model.openExtents
    guard open.count <= 1 else {
      throw KeelError(
        .argument, at: request.path, expected: "at most the batch left open",
        found: open.joined(separator: ", "))
    }
    let extents = Dictionary(uniqueKeysWithValues: open.map { ($0, request.batch) })
    let graph = try model.graph(ONNXImportOptions(extents: extents)).folded().graph
    guard graph.inputs.count == 1 else {
      throw KeelError(
        .argument, at: request.path, expected: "one input", found: "\(graph.inputs.count)")
    }
    let input = graph.inputs[0]
    let shape = try graph.type(of: input.value).shape(binding: [:])
    guard shape.extents.first == request.batch else {
      throw KeelError(
        .argument, at: "batch", expected: "\(shape), which the file is made for",
        found: "\(request.batch)")
    }
    self.graph = try PlannedGraph(
      graph, inputs: [input.name: try load(input.name, shape)],
      options: PlanOptions(threads: request.threads, exact: request.exact))
  }

  func run() throws(KeelError) { try graph.run() }

  func result(_ name: String) throws(KeelError) -> Tensor { try graph.output(name) }
}
