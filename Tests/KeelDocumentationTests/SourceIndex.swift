import Foundation

/// What the sources declare, found by reading them: enough to tell whether a name in a catalogue is there.
struct SourceIndex {
  /// The package's folder.
  let root: URL
  /// The text of each Swift file by its path from the root.
  private let files: [String: String]

  /// Reads the package that this file belongs to.
  init() throws {
    root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    var files: [String: String] = [:]
    for folder in ["Sources", "Tests"] {
      let paths = FileManager.default.enumerator(atPath: root.appending(path: folder).path())
      for case let path as String in paths ?? .init() where path.hasSuffix(".swift") {
        let file = "\(folder)/\(path)"
        files[file] = try String(contentsOf: root.appending(path: file), encoding: .utf8)
      }
    }
    self.files = files
  }

  /// The file under one of some folders that declares a type, and, for `Type.member`, the file that
  /// declares the type or an extension of it with that member.
  func declaration(of name: String, under folders: [String]) throws -> String? {
    let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
    let type = try Regex("\\b(struct|enum|class|protocol|typealias) \(parts[0])\\b")
    let owner = try Regex("\\b(struct|enum|class|protocol|extension) \(parts[0])\\b")
    let member = try parts.dropFirst().first.map {
      try Regex("\\b(func|var|let|case) `?\($0)\\b|\\b\($0)\\(")
    }
    return paths(under: folders).first { path in
      guard let member else { return files[path]!.contains(type) }
      return files[path]!.contains(owner) && files[path]!.contains(member)
    }
  }

  /// The file with a test, named `Suite/test`.
  func test(_ name: String) throws -> String? {
    let parts = name.split(separator: "/").map(String.init)
    guard parts.count == 2 else { return nil }
    let suite = try Regex("\\b(struct|extension) \(parts[0])\\b")
    let function = try Regex("@Test[^{]*?func `?\(parts[1])\\b")
    return paths(under: ["Tests"]).first {
      files[$0]!.contains(suite) && files[$0]!.contains(function)
    }
  }

  /// The cases of the enumeration of operations.
  func primitives() throws -> [String] {
    let text = files["Sources/KeelGraph/Primitive.swift"]!
    let declaration = text.prefix(upTo: text.range(of: "\n}")!.lowerBound)
    return declaration.matches(of: /\n  case ([A-Za-z0-9]+)/).map { String($0.output.1) }
  }

  /// The layers that are not made of other layers.
  func layers() throws -> [String] {
    paths(under: ["Sources/KeelLayers/Layers"]).flatMap { path in
      files[path]!.matches(of: /public struct ([A-Za-z0-9]+)[^{]*: [^{]*Layer\b/).map {
        String($0.output.1)
      }
    }
  }

  private func paths(under folders: [String]) -> [String] {
    files.keys.filter { path in folders.contains { path.hasPrefix($0 + "/") } }.sorted()
  }
}
