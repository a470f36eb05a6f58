import Foundation
import Testing

/// Layers are a vocabulary over the graph: none may reach for a kernel.
@Suite struct ImportTests {
  @Test func layersImportTensorsAndGraphsOnly() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let folder = root.appending(path: "Sources/KeelLayers")
    let files = try #require(
      FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
    var count = 0
    for case let file as URL in files where file.pathExtension == "swift" {
      count += 1
      for line in try String(contentsOf: file, encoding: .utf8).split(whereSeparator: \.isNewline) {
        let words = line.split(whereSeparator: { " \t;".contains($0) }).map(String.init)
        guard let position = words.firstIndex(of: "import"), !line.contains("//"),
          position + 1 < words.count
        else { continue }
        #expect(
          ["KeelTensor", "KeelGraph", "Synchronization"].contains(words[position + 1]),
          "\(file.lastPathComponent): \(line)")
      }
    }
    #expect(count > 10)
  }
}
