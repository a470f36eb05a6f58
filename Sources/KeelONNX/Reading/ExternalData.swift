import Foundation
internal import KeelFormats
import KeelTensor

/// Reads the tensors that a model keeps in other files of its folder. Each file is mapped once.
package final class ExternalData {
  /// The model's folder, or nil for a model that is not in a file.
  private let folder: URL?
  private var files: [String: FileBytes] = [:]

  /// Reads from a folder.
  package init(folder: URL?) { self.folder = folder }

  /// Calls a closure with the bytes that a tensor's `location`, `offset` and `length` name. They need not stay in
  /// memory.
  /// - Throws: `KeelError` of kind `file` for a location outside the folder, be it by an absolute path, by
  ///   `..` or by a symbolic link, and a range that the file does not have.
  func withBytes<Result>(
    of tensor: ONNXTensorProto, at place: String,
    _ body: (UnsafeRawBufferPointer) throws(KeelError) -> Result
  ) throws(KeelError) -> Result {
    var entries: [String: String] = [:]
    for entry in tensor.externalData { entries[entry.key] = entry.value }
    guard let location = entries["location"], !location.isEmpty else {
      throw KeelError(.file, at: place, expected: "the location of external data", found: "none")
    }
    let file = try file(location, place)
    func number(_ key: String, otherwise: Int) throws(KeelError) -> Int {
      guard let text = entries[key] else { return otherwise }
      guard let value = Int(text), value >= 0 else {
        throw KeelError(
          .file, at: place, expected: "\(key) of external data as a number from 0", found: text)
      }
      return value
    }
    let offset = try number("offset", otherwise: 0)
    let length = try number("length", otherwise: max(0, file.count - offset))
    guard offset <= file.count, length <= file.count - offset else {
      throw KeelError(
        .file, at: place, expected: "a range within the \(file.count) bytes of \(location)",
        found: "\(length) bytes from \(offset)")
    }
    let range = offset..<offset + length
    defer { file.release(range) }
    return try file.withBytes { bytes throws(KeelError) in
      try body(UnsafeRawBufferPointer(rebasing: bytes[range]))
    }
  }

  private func file(_ location: String, _ place: String) throws(KeelError) -> FileBytes {
    if let bytes = files[location] { return bytes }
    guard let folder else {
      throw KeelError(
        .file, at: place, expected: "a model in a file, whose folder has \(location)",
        found: "a model in memory")
    }
    let parts = location.split(separator: "/", omittingEmptySubsequences: false)
    let isPlain =
      !location.hasPrefix("/") && !location.contains("\\") && !location.contains("\0")
      && parts.allSatisfy { !$0.isEmpty && $0 != ".." }
    let root = folder.resolvingSymlinksInPath().standardizedFileURL.pathComponents
    let file = folder.appendingPathComponent(location).resolvingSymlinksInPath()
      .standardizedFileURL
    guard isPlain, file.pathComponents.count > root.count, file.pathComponents.starts(with: root)
    else {
      throw KeelError(
        .file, at: place, expected: "external data within the model's folder", found: location)
    }
    do throws(KeelError) {
      let bytes = try FileBytes(mapping: file.path)
      files[location] = bytes
      return bytes
    } catch {
      throw KeelError(
        .file, at: place, expected: "external data in \(location): \(error.expected)",
        found: error.found)
    }
  }
}
