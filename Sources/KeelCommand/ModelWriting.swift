import Keel

/// Writes a graph as an ONNX file, whose model is called like the file.
/// - Throws: `KeelError` of kind `file` where it cannot be written.
func writeModel(_ graph: Graph, to path: String) throws(KeelError) {
  throw KeelError(
    .file, at: path, expected: "a writer of ONNX files", found: "none in this version of Keel")
}
