import Foundation

/// What the sources declare, found by reading them: enough to tell whether a name in a catalogue is there.
struct SourceIndex {
  /// What one file declares.
  private struct File {
    /// Types that it declares.
    var types: Set<Substring> = []
    /// Types that it declares or extends.
    var owners: Set<Substring> = []
    /// Functions, properties, cases and types within types.
    var members: Set<Substring> = []
    /// Functions that are tests.
    var tests: Set<Substring> = []
    let text: String

    init(_ text: String) {
      self.text = text
      var isTest = false
      var keyword: Substring = ""
      for word in text.split(whereSeparator: {
        !($0.isLetter || $0.isNumber || $0 == "_" || $0 == "@")
      }) {
        switch keyword {
        case "struct", "enum", "class", "protocol", "typealias":
          types.insert(word)
          owners.insert(word)
          members.insert(word)
        case "extension": owners.insert(word)
        case "func":
          members.insert(word)
          if isTest { tests.insert(word) }
          isTest = false
        case "var", "let", "case": members.insert(word)
        default: break
        }
        if word == "@Test" { isTest = true }
        keyword = word
      }
    }
  }

  /// The package's folder.
  let root: URL
  /// Each Swift file by its path from the root.
  private let files: [String: File]

  /// Reads the package that this file belongs to.
  init() throws {
    root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    var files: [String: File] = [:]
    for folder in ["Sources", "Tests"] {
      let paths = FileManager.default.enumerator(atPath: root.appending(path: folder).path())
      for case let path as String in paths ?? .init() where path.hasSuffix(".swift") {
        let file = "\(folder)/\(path)"
        files[file] = File(try String(contentsOf: root.appending(path: file), encoding: .utf8))
      }
    }
    self.files = files
  }

  /// The sources, read once for all tests.
  static let shared = Result { try SourceIndex() }

  /// The file under one of some folders that declares a type, and, for `Type.member`, a file that
  /// declares the type or an extension of it, and that member.
  func declaration(of name: String, under folders: [String]) -> String? {
    let parts = name.split(separator: ".", maxSplits: 1)
    return paths(under: folders).first { path in
      let file = files[path]!
      guard parts.count == 2 else { return file.types.contains(parts[0]) }
      return file.owners.contains(parts[0]) && file.members.contains(parts[1])
    }
  }

  /// The file with a test, named `Suite/test`.
  func test(_ name: String) -> String? {
    let parts = name.split(separator: "/")
    guard parts.count == 2 else { return nil }
    return paths(under: ["Tests"]).first {
      files[$0]!.owners.contains(parts[0]) && files[$0]!.tests.contains(parts[1])
    }
  }

  /// The page of the documentation of a name, if it is listed in the first one.
  func page(_ name: String) -> String? {
    let folder = "Sources/Keel/Keel.docc"
    let path = "\(folder)/\(name).md"
    let first = try? String(
      contentsOf: root.appending(path: "\(folder)/Keel.md"), encoding: .utf8)
    let isThere = FileManager.default.fileExists(atPath: root.appending(path: path).path())
    return isThere && first?.contains("<doc:\(name)>") == true ? path : nil
  }

  /// The cases of the enumeration of operations.
  var primitives: [String] {
    let text = files["Sources/KeelGraph/Primitive.swift"]!.text
    let declaration = text.prefix(upTo: text.range(of: "\n}")!.lowerBound)
    return declaration.matches(of: /\n  case ([A-Za-z0-9]+)/).map { String($0.output.1) }
  }

  /// The layers that are not made of other layers; all types among the norms, some of which take more than
  /// one variable.
  var layers: [String] {
    paths(under: ["Sources/KeelLayers/Layers"]).flatMap { path in
      let pattern =
        path.contains("/Normalization/")
        ? /\npublic struct ([A-Za-z0-9]+)/ : /public struct ([A-Za-z0-9]+)[^{]*: [^{]*Layer\b/
      return files[path]!.text.matches(of: pattern).map { String($0.output.1) }
    }
  }

  private func paths(under folders: [String]) -> [String] {
    files.keys.filter { path in folders.contains { path.hasPrefix($0 + "/") } }.sorted()
  }
}
