import Foundation
import KeelFormats
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct AtomicFileTests {
  private func contents(_ path: String) throws -> String {
    try String(contentsOfFile: path, encoding: .utf8)
  }

  @Test func writesAndReplaces() throws {
    let folder = try TemporaryFolder()
    for text in ["first", "second, longer", ""] {
      try AtomicFile.write(to: folder.file("a")) { (file) throws(KeelError) in
        try file.append(Array(text.utf8))
      }
      #expect(try contents(folder.file("a")) == text)
    }
    #expect(try folder.names == ["a"])
  }

  @Test func aFailureLeavesTheOldFile() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Array("old".utf8), to: "a")
    let error = failure { () throws(KeelError) in
      try AtomicFile.write(to: path) { (file) throws(KeelError) in
        try file.append(Array("new".utf8))
        throw KeelError(.value, at: "here", expected: "an end", found: "a failure")
      }
    }
    #expect(error?.place == "here")
    #expect(try contents(path) == "old")
    #expect(try folder.names == ["a"])
  }

  /// At any moment of a write, and so wherever it is interrupted, the old file is whole and what has been written
  /// is in another one.
  @Test func theOldFileIsWholeUntilTheEnd() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Array("old".utf8), to: "a")
    var seen: [String] = []
    var names: [String] = []
    try AtomicFile.write(to: path) { (file) throws(KeelError) in
      for _ in 0..<3 {
        try file.append(Array("new".utf8))
        seen.append((try? contents(path)) ?? "")
      }
      names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    }
    #expect(seen == ["old", "old", "old"])
    #expect(names.count == 2)
    #expect(names.filter { !$0.hasPrefix(".keel-") } == ["a"])
    #expect(try contents(path) == "newnewnew")
  }

  @Test func permissionsAndLinksAreKept() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write([], to: "a")
    try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
    try FileManager.default.createSymbolicLink(
      atPath: folder.file("link"), withDestinationPath: path)
    try AtomicFile.write(to: folder.file("link")) { (file) throws(KeelError) in
      try file.append([65])
    }
    #expect(try contents(path) == "A")
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    #expect(attributes[.posixPermissions] as? Int == 0o640)
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder.file("link")) == path)
  }

  @Test func placesThatCannotBeWritten() throws {
    let folder = try TemporaryFolder()
    for path in [folder.file("none/a"), folder.path, "/dev/null", ""] {
      let error = failure { () throws(KeelError) in
        try AtomicFile.write(to: path) { (file) throws(KeelError) in try file.append([1]) }
      }
      #expect(error?.kind == .file, "\(path)")
    }
    #expect(try folder.names.isEmpty)
  }
}
