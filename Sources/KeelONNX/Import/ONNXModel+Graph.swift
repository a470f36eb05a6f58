public import KeelGraph
public import KeelTensor

/// How a model becomes a graph.
public struct ONNXImportOptions: Sendable {
  /// Extents for what the model leaves open, by the name that the model gives it (`height`) or, where it
  /// has none, by input and axis (`image.2`). Spatial extents must be known; the batch may stay open.
  public var extents: [String: Int]

  /// The inputs and outputs whose axes stand in Keel's order, N×…×C, instead of ONNX's, N×C×…: the program
  /// then gives and takes images as Keel's own networks do, and nothing is transposed.
  public var channelsLast: Set<String>

  /// The most elements that constants may have which the model computes of others, beyond eight times the elements
  /// that it has: a file of a few bytes can ask for many. A program that reads files of strangers states fewer.
  public var computedElements: Int

  /// Makes options.
  public init(
    extents: [String: Int] = [:], channelsLast: Set<String> = [], computedElements: Int = 1 << 28
  ) {
    self.extents = extents
    self.channelsLast = channelsLast
    self.computedElements = computedElements
  }
}

extension ONNXModel {
  /// The model as a graph.
  ///
  /// Inputs and outputs keep their names and the order of their axes, unless the options say otherwise;
  /// between them images are stored channels last, and transposes stand only where an operator fixes an
  /// order. Weights keep the names of the initializers; convolution weights are turned from
  /// Cout×Cin/G×k… to Cout×k…×Cin/G. What depends on constants and shapes alone is evaluated. Floating
  /// point of any width becomes float32, integers become int64.
  ///
  /// - Throws: `KeelError` of kind `graph` that lists all that is not supported: node, operator, what is
  ///   missing; of kind `file` for tensors that cannot be read.
  public func graph(_ options: ONNXImportOptions = ONNXImportOptions()) throws(KeelError) -> Graph {
    let importer = GraphImporter(self, options)
    return try importer.graph()
  }
}
