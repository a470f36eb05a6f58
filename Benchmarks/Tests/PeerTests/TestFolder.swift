import Foundation

/// Files of Floats, as requests read and write them.
enum TestFolder {
  /// Calls a closure with a new folder, which is gone afterwards.
  static func with(_ body: (URL) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder)
  }

  static func write(_ numbers: [Float], to file: URL) throws {
    try numbers.withUnsafeBytes { try Data($0).write(to: file) }
  }

  static func read(_ file: URL) throws -> [Float] {
    let data = try Data(contentsOf: file)
    return [Float](unsafeUninitializedCapacity: data.count / 4) { buffer, count in
      count = data.copyBytes(to: buffer) / 4
    }
  }
}
