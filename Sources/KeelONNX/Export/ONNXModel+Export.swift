public import Foundation
internal import KeelFormats
public import KeelGraph
public import KeelTensor
import SwiftProtobuf

/// How a graph becomes a model.
public struct ONNXExportOptions: Sendable {
  /// The inputs and outputs whose axes stay in Keel's order, N×…×C, where they would be turned to ONNX's, N×C×….
  public var channelsLast: Set<String>

  /// The inputs and outputs whose axes are turned to ONNX's order although the graph does not show them to be
  /// images: those that a reshape takes first, for example.
  public var channelsFirst: Set<String>

  /// Makes options.
  public init(channelsLast: Set<String> = [], channelsFirst: Set<String> = []) {
    self.channelsLast = channelsLast
    self.channelsFirst = channelsFirst
  }
}

extension ONNXModel {
  /// The version of ONNX's operators that Keel writes.
  public static let writtenOperatorVersion = 21
  /// The version of the file format that Keel writes.
  public static let writtenFormatVersion = 10

  /// A graph as a model.
  ///
  ///     try ONNXModel(graph.inferenceForm(), name: "resnet").write(to: URL(filePath: "resnet.onnx"))
  ///
  /// Inputs and outputs that are images in the graph (what a convolution, a pooling or a norm by channels takes or
  /// makes, also past operations that leave every axis in its place) are N×C×… in the model, as everywhere in
  /// ONNX, unless the options say otherwise; all others keep the order of their axes. In between, transposes stand
  /// only where an operator fixes an order. Weights are initializers of the same names, turned to ONNX's order of
  /// axes; open extents stay open under their names. What depends on weights alone is computed, except for mere
  /// views of a weight. Activations and residuals in an epilogue become nodes of their own. The same graph makes
  /// the same bytes.
  ///
  /// Normalizations are ONNX's BatchNormalization, Instance-, Group- and LayerNormalization where those say the
  /// same, otherwise reductions and arithmetic. Resizing to nearest or linearly is ONNX's Resize where the spatial
  /// axes of images change alike (runtimes compute its coordinates in Float, see `ResizeCoordinates`), otherwise
  /// selections by the coordinates that Keel computes.
  ///
  /// - Parameters:
  ///   - graph: a graph for inference: without updates, gradients, dropout, and losses but those of classes.
  ///   - name: the model's name.
  /// - Throws: `KeelError` of kind `graph` that lists all operations which have no form in ONNX, each with its
  ///   path; also for a graph with updates and for an output that is called like an input.
  public init(
    _ graph: Graph, name: String = "model", options: ONNXExportOptions = ONNXExportOptions()
  ) throws(KeelError) {
    try self.init(try GraphExporter(graph, name: name, options).model(), name: name)
  }

  /// Writes the model; the same model makes the same bytes. An old file of that name stays whole until the new
  /// one is.
  ///
  /// A model of more than 2 GB, which protobuf cannot hold, keeps its tensors in a second file beside the first,
  /// which is called after it and its own contents and is written before it, so that an old model keeps its
  /// tensors.
  /// - Throws: `KeelError` of kind `file` where the file cannot be written, and for a model that was read and has
  ///   tensors in other files.
  public func write(to file: URL) throws(KeelError) {
    try write(to: file, largestMessage: 2_000_000_000)
  }

  /// Writes the model, with tensors in a second file where all of them are more than so many bytes.
  package func write(to file: URL, largestMessage: Int) throws(KeelError) {
    var proto = try wholeMessage()
    guard proto.graph.initializer.allSatisfy({ $0.dataLocation == 0 }) else {
      throw KeelError(
        .file, at: file.path, expected: "a model that holds its tensors",
        found: "\(name), which has some in other files")
    }
    let size = proto.graph.initializer.reduce(0) { $0 + $1.rawData.count }
    if size > largestMessage { try ExternalWeights(&proto, of: file).write() }
    let bytes: Data
    do {
      bytes = try proto.serializedBytes()
    } catch {
      throw KeelError(
        .file, at: file.path, expected: "a model that protobuf can hold", found: "\(error)")
    }
    try AtomicFile.write(to: file.path) { (file) throws(KeelError) in try file.append(bytes) }
  }
}

extension AtomicFile {
  /// Appends bytes.
  borrowing func append(_ data: Data) throws(KeelError) {
    var failure: KeelError?
    data.withUnsafeBytes { bytes in
      do throws(KeelError) {
        try append(bytes)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }
}
