import Foundation
import Keel
import KeelONNX

/// Writes a graph as an ONNX file, whose model is called like the file.
/// - Throws: `KeelError` of kind `file` where it cannot be written, of kind `graph` where an operation has no form in
///   ONNX.
func writeModel(_ graph: Graph, to path: String) throws(KeelError) {
  let file = URL(filePath: path)
  let name = file.deletingPathExtension().lastPathComponent
  try ONNXModel(graph, name: name).write(to: file)
}
