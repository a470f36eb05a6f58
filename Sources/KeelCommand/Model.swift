import ArgumentParser
import Foundation
import Keel
import KeelONNX

/// What MODEL names: an ONNX file or a built-in network.
enum Model: Sendable {
  case builtIn(BuiltInNetwork)
  case file(String)

  /// What an argument means. A built-in network's name wins over a file's: `./lenet` is the file.
  /// - Throws: a message that names the nearest network, for what is neither.
  init(argument: String) throws {
    do { self = .builtIn(try BuiltInNetwork.named(argument)) } catch {
      let isPath =
        argument.contains("/") || argument.lowercased().hasSuffix(".onnx")
        || FileManager.default.fileExists(atPath: argument)
      guard isPath else { throw error }
      self = .file(argument)
    }
  }

  /// The graph for inference. Built-in networks have random weights and statistics, which are drawn from the
  /// source; files are left with the axes of their inputs and outputs as they declare them.
  /// - Throws: `FileFailure` for a file that cannot be read or is not supported; a message for extents that the
  ///   model does not leave open.
  func load(_ extents: [NamedExtent], using source: inout RandomSource) throws -> LoadedModel {
    switch self {
    case .builtIn(let network):
      if let extent = extents.first {
        throw ValidationError(
          "--extent \(extent.name): expected an ONNX file as MODEL, found the built-in network "
            + network.rawValue)
      }
      return LoadedModel(
        name: network.rawValue, graph: try network.graphWithStatistics(using: &source),
        isFile: false)
    case .file(let path):
      return try Terminal.during("reading \(path)") {
        let model = try reading { try ONNXModel(contentsOf: URL(filePath: path)) }
        let open = model.openExtents
        for extent in extents where !open.contains(extent.name) {
          throw ValidationError(
            "--extent \(extent.name): expected "
              + (open.isEmpty
                ? "none, since \(path) leaves no extent open"
                : "one of \(open.joined(separator: ", "))"))
        }
        return LoadedModel(name: path, graph: try Self.graph(model, extents), isFile: true)
      }
    }
  }

  /// The graph of a file; what is said of one that cannot be imported names the file, and the extents whose values
  /// the importer asks for.
  private static func graph(_ model: ONNXModel, _ extents: [NamedExtent]) throws -> Graph {
    let values = Dictionary(uniqueKeysWithValues: extents.map { ($0.name, $0.value) })
    do { return try model.graph(ONNXImportOptions(extents: values)) } catch {
      var message = error.description
      if !message.contains(model.name) { message = "\(model.name): \(message)" }
      let open = model.openExtents.filter { values[$0] == nil }
      if message.contains("by name"), !open.isEmpty {
        message += "; --extent NAME=VALUE gives values to \(open.joined(separator: ", "))"
      }
      throw FileFailure(message: message)
    }
  }
}

/// MODEL, and values for what it leaves open.
struct ModelArguments: ParsableArguments {
  @Argument(
    help: "An ONNX file, or a built-in network (`keel summary` lists them).",
    completion: .file(extensions: ["onnx"]), transform: { try Model(argument: $0) })
  var model: Model
  @OptionGroup var open: ExtentArguments

  /// The model's graph for inference.
  func load(using source: inout RandomSource) throws -> LoadedModel {
    try model.load(open.extents, using: &source)
  }
}

/// Values for extents that an ONNX file leaves open.
struct ExtentArguments: ParsableArguments {
  @Option(
    name: .customLong("extent"),
    help: ArgumentHelp(
      "A value for an extent that the ONNX file leaves open; may be repeated.",
      valueName: "name=value"),
    transform: { try NamedExtent(argument: $0) })
  var extents: [NamedExtent] = []

  func validate() throws {
    var names: Set<String> = []
    for extent in extents where !names.insert(extent.name).inserted {
      throw ValidationError("--extent \(extent.name): expected one value, found two")
    }
  }
}

/// A value for an open extent.
struct NamedExtent: Sendable {
  let name: String
  let value: Int

  /// Reads `name=value`.
  init(argument: String) throws {
    guard let sign = argument.lastIndex(of: "="), sign > argument.startIndex,
      let value = Int(argument[argument.index(after: sign)...]),
      (1...Int(Int32.max)).contains(value)
    else { throw ValidationError("Expected name=value with a value from 1, such as height=224.") }
    name = String(argument[..<sign])
    self.value = value
  }
}
