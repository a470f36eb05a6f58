import ArgumentParser
import Foundation
import Keel

/// The values of a model's inputs, from files.
struct InputFiles {
  /// A value for each input, by its name.
  private(set) var values: [String: TensorValue] = [:]
  /// The files that each input comes from, by its name.
  private(set) var paths: [String: [String]] = [:]

  /// Reads files: npy, npz and png.
  ///
  /// `name=path` is for the input of that name; what has no name is for the inputs without, in their order. An npz
  /// file gives each input its array of the same name. Several pictures for one input are its batch.
  /// - Throws: `FileFailure` for files that cannot be read; a message for inputs without a value, values without an
  ///   input, and those that do not fit.
  init(_ arguments: [String], for model: LoadedModel, _ pictures: PictureArguments) throws {
    let types = Dictionary(uniqueKeysWithValues: model.inputs.map { ($0.name, $0.type) })
    let names = model.inputs.map(\.name)
    var positional: [String] = []
    for argument in arguments {
      if let sign = argument.firstIndex(of: "="), types[String(argument[..<sign])] != nil {
        let path = String(argument[argument.index(after: sign)...])
        paths[String(argument[..<sign]), default: []].append(path)
      } else if argument.contains("="), !FileManager.default.fileExists(atPath: argument) {
        throw ValidationError(
          "\(argument): expected a file, or one for \(names.joined(separator: " or "))")
      } else if try !takeArchive(argument, names) {
        positional.append(argument)
      }
    }
    let open = names.filter { paths[$0] == nil }
    if open.count == 1 {
      if !positional.isEmpty { paths[open[0]] = positional }
    } else {
      guard positional.count <= open.count else {
        throw ValidationError(
          "Expected at most \(count(open.count, "input")) without a name, found \(positional.count)."
        )
      }
      for (name, path) in zip(open, positional) { paths[name] = [path] }
    }
    let missing = names.filter { paths[$0] == nil }
    guard missing.isEmpty else {
      throw ValidationError(
        "Expected a file for each input of \(model.name), found none for "
          + missing.map { "\($0) (\(types[$0]!))" }.joined(separator: ", ") + ".")
    }
    var hasPictures = false
    for name in names where values[name] == nil {
      let files = paths[name]!
      if files.allSatisfy(Self.isPicture) {
        hasPictures = true
        values[name] = .float32(
          try pictures.tensor(of: files, for: name, types[name]!, isFile: model.isFile))
      } else {
        guard files.count == 1 else {
          throw ValidationError(
            "Expected one file for input \(name), or PNG pictures, found "
              + files.joined(separator: ", ") + ".")
        }
        values[name] = try Self.array(files[0])
      }
    }
    try pictures.check(isUsed: hasPictures)
    try checkTypes(types, model)
  }

  /// Takes the arrays of an npz file that all have the names of inputs.
  private mutating func takeArchive(_ path: String, _ names: [String]) throws -> Bool {
    guard path.lowercased().hasSuffix(".npz") else { return false }
    let archive = try reading { try NumPyArchive(path: path) }
    if archive.names.count == 1, !names.contains(archive.names[0]) { return false }
    for name in archive.names {
      guard names.contains(name) else {
        throw ValidationError(
          "\(path): expected arrays for \(names.joined(separator: ", ")), found one for \(name)")
      }
      guard paths.updateValue([path], forKey: name) == nil else {
        throw ValidationError("\(path): expected one value for input \(name), found two")
      }
      values[name] = try reading { try archive.value(named: name) }
    }
    return true
  }

  /// The array of a npy file, or the only one of a npz file.
  private static func array(_ path: String) throws -> TensorValue {
    guard path.lowercased().hasSuffix(".npz") else {
      return try reading { try NumPyFile.read(path) }
    }
    let archive = try reading { try NumPyArchive(path: path) }
    guard archive.names.count == 1 else {
      throw ValidationError("\(path): expected one array, found \(archive.names.count)")
    }
    return try reading { try archive.value(named: archive.names[0]) }
  }

  private static func isPicture(_ path: String) -> Bool { path.lowercased().hasSuffix(".png") }

  private func checkTypes(_ types: [String: ValueType], _ model: LoadedModel) throws {
    for (name, type) in model.inputs {
      let value = values[name]!
      guard value.elementType == type.elementType, value.shape.rank == type.rank else {
        throw ValidationError(
          "\(paths[name]!.joined(separator: ", ")): expected \(type) for input \(name), found "
            + "\(value.elementType.rawValue) \(value.shape)")
      }
    }
    _ = try asArguments { try model.graph.bindSymbols(inputShapes: values.mapValues(\.shape)) }
  }
}
