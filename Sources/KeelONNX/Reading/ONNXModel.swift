public import Foundation
package import KeelFormats
public import KeelTensor
import SwiftProtobuf

/// A network in an ONNX file, read and checked but not yet a graph.
///
///     let model = try ONNXModel(contentsOf: URL(filePath: "resnet.onnx"))
///     let graph = try model.graph()
///
/// What is checked: a version of the format and of the operators that Keel knows; names that are given once;
/// nodes in an order in which they can be run, without cycles; the element types and sizes of tensors where
/// they are taken. External data is read from the model's folder and from nowhere else.
public struct ONNXModel: Sendable {
  /// The versions of ONNX's operators that Keel reads.
  public static let operatorVersions = 6...27
  /// The versions of the file format that Keel reads.
  public static let formatVersions = 3...14

  /// The file's path, or what the caller called it: the place of messages.
  public let name: String
  /// The version of ONNX's own operators.
  public let operatorVersion: Int
  /// The program that wrote the file, for example `pytorch 2.6.0`.
  public let producer: String

  /// The folder of external data.
  let folder: URL?
  /// The message, without the elements of large initializers where it was read from a file.
  package let proto: ONNXModelProto
  /// The file, and where in it those elements are, by the position of their initializer.
  private let file: FileBytes?
  private let elements: [Int: Range<Int>]

  /// Reads a file, which is mapped into memory.
  /// - Throws: `KeelError` of kind `file` for a file that cannot be read, is no ONNX model, has another
  ///   version, or is not well formed.
  public init(contentsOf file: URL) throws(KeelError) {
    try self.init(
      try FileBytes(mapping: file.path), folder: file.deletingLastPathComponent())
  }

  /// Reads the bytes of a file.
  /// - Throws: as reading a file.
  package init(_ bytes: FileBytes, folder: URL?) throws(KeelError) {
    guard let message = try bytes.withBytes({ ModelMessage($0) }) else {
      throw KeelError(
        .file, at: bytes.path, expected: "an ONNX model", found: "bytes that are none")
    }
    try self.init(
      Self.message(message.bytes, name: bytes.path), name: bytes.path, folder: folder, file: bytes,
      elements: message.elements)
  }

  /// Reads a model in memory, which can have no external data.
  /// - Throws: as reading a file.
  public init(_ data: Data, name: String = "model") throws(KeelError) {
    try self.init(Self.message(data, name: name), name: name)
  }

  private static func message(
    _ bytes: some SwiftProtobufContiguousBytes, name: String
  ) throws(KeelError) -> ONNXModelProto {
    do {
      return try ONNXModelProto(serializedBytes: bytes)
    } catch {
      throw KeelError(.file, at: name, expected: "an ONNX model", found: "bytes that are none")
    }
  }

  /// Checks a message.
  /// - Throws: as reading a file.
  package init(_ proto: ONNXModelProto, name: String, folder: URL? = nil) throws(KeelError) {
    try self.init(proto, name: name, folder: folder, file: nil, elements: [:])
  }

  private init(
    _ proto: ONNXModelProto, name: String, folder: URL?, file: FileBytes?,
    elements: [Int: Range<Int>]
  ) throws(KeelError) {
    guard proto.hasGraph, proto.hasIrVersion else {
      throw KeelError(
        .file, at: name, expected: "an ONNX model with a version and a graph",
        found: proto.hasGraph ? "no version" : "no graph")
    }
    guard Self.formatVersions.contains(Int(proto.irVersion)) else {
      throw KeelError(
        .file, at: name, expected: "version \(Self.formatVersions) of the format",
        found: "\(proto.irVersion)")
    }
    let versions = proto.opsetImport.filter { $0.domain.isEmpty || $0.domain == "ai.onnx" }
    // A model of optimizers alone names no version of the others.
    let isTraining = proto.opsetImport.contains { $0.domain == Self.trainingDomain }
    let newest = Int64(Self.operatorVersions.upperBound)
    guard let version = versions.first?.version ?? (isTraining ? newest : nil),
      versions.count <= 1
    else {
      throw KeelError(
        .file, at: name, expected: "one version of ONNX's operators", found: "\(versions.count)")
    }
    guard Self.operatorVersions.contains(Int(version)) else {
      throw KeelError(
        .file, at: name, expected: "version \(Self.operatorVersions) of ONNX's operators",
        found: "\(version)")
    }
    self.name = name
    self.folder = folder
    self.proto = proto
    self.file = file
    self.elements = elements
    operatorVersion = Int(version)
    producer = [proto.producerName, proto.producerVersion].filter { !$0.isEmpty }
      .joined(separator: " ")
    try checkNames()
  }

  /// The domain of the optimizers' operators.
  static let trainingDomain = "ai.onnx.preview.training"

  /// How messages name a node: by its own name, or by its position and operator.
  func place(of node: Int) -> String {
    let proto = proto.graph.node[node]
    let own = proto.name.isEmpty ? "node \(node)" : "node \(proto.name)"
    return "\(name), \(own) (\(proto.opType))"
  }

  /// Decodes an initializer. Its part of the file need not stay in memory.
  func initializer(
    _ position: Int, outside: ExternalData, at place: String
  ) throws(KeelError) -> HostTensor {
    let tensor = proto.graph.initializer[position]
    guard let file, let range = elements[position] else {
      return try HostTensor(decoding: tensor, outside: outside, at: place)
    }
    defer { file.release(range) }
    return try file.withBytes { bytes throws(KeelError) in
      try HostTensor(
        decoding: tensor, elements: UnsafeRawBufferPointer(rebasing: bytes[range]),
        outside: outside, at: place)
    }
  }

  /// The message with the elements of all initializers that are in its file.
  package func wholeMessage() throws(KeelError) -> ONNXModelProto {
    var whole = proto
    guard let file else { return whole }
    try file.withBytes { bytes in
      for (position, range) in elements {
        whole.graph.initializer[position].rawData = Data(bytes[range])
      }
    }
    return whole
  }

  /// Checks that every value is made once, and before it is taken.
  private func checkNames() throws(KeelError) {
    let graph = proto.graph
    var known: Set<String> = []
    func define(_ value: String, _ place: String) throws(KeelError) {
      guard known.insert(value).inserted else {
        throw KeelError(
          .file, at: place, expected: "a name of its own for each value", found: "\(value) twice")
      }
    }
    for (position, tensor) in graph.initializer.enumerated() {
      let place = "\(name), initializer \(position)"
      guard !tensor.name.isEmpty else {
        throw KeelError(.file, at: place, expected: "a name", found: "none")
      }
      try define(tensor.name, place)
    }
    let initializers = known
    var inputs: Set<String> = []
    for (position, input) in graph.input.enumerated() {
      let place = "\(name), input \(position)"
      guard !input.name.isEmpty, inputs.insert(input.name).inserted else {
        throw KeelError(
          .file, at: place, expected: "a name of its own",
          found: input.name.isEmpty ? "none" : "\(input.name) twice")
      }
      // Up to version 3 of the format, initializers are inputs too.
      if !initializers.contains(input.name) { try define(input.name, place) }
    }
    let made = Set(graph.node.flatMap(\.output))
    for (position, node) in graph.node.enumerated() {
      for input in node.input where !input.isEmpty && !known.contains(input) {
        throw KeelError(
          .file, at: place(of: position),
          expected: "operands that inputs, initializers or nodes before it make",
          found: made.contains(input)
            ? "\(input), which a node after it makes (or it itself)"
            : "\(input), which nothing makes")
      }
      for output in node.output where !output.isEmpty {
        try define(output, place(of: position))
      }
    }
    var outputs: Set<String> = []
    for output in graph.output {
      guard known.contains(output.name), outputs.insert(output.name).inserted else {
        throw KeelError(
          .file, at: "\(name), output \(output.name)", expected: "a value of the graph, once",
          found: known.contains(output.name) ? "it twice" : "none of that name")
      }
    }
  }
}
