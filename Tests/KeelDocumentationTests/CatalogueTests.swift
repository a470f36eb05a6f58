import Foundation
import Testing

/// The tables of methods in the documentation have no gap, and the pages are made from them.
struct CatalogueTests {
  static let tables = ["Layers", "Normalization", "Whitening"]
  let sources: SourceIndex

  init() throws { sources = try SourceIndex.shared.get() }

  private func file(_ table: String, _ kind: String) -> URL {
    sources.root.appending(path: "Documentation/\(table).\(kind)")
  }

  @Test(arguments: tables) func everyNameIsThere(table: String) throws {
    let gaps = try Catalogue(file(table, "tsv")).gaps(in: sources)
    #expect(gaps.isEmpty, "\(gaps.joined(separator: "\n"))")
  }

  @Test func everyOperationIsListed() throws {
    let rows = try Self.tables.flatMap { try Catalogue(file($0, "tsv")).rows }
    let primitives = Set(rows.flatMap { $0.names(.primitive) + $0.names(.gradient) })
    let missing = sources.primitives.filter { !primitives.contains($0) }
    #expect(missing.isEmpty, "primitives in no table: \(missing)")
    let layers = Set(rows.flatMap { $0.names(.layer) })
    let unlisted = sources.layers.filter { !layers.contains($0) }
    #expect(unlisted.isEmpty, "layers in no table: \(unlisted)")
    #expect(sources.primitives.count > 20)
    #expect(sources.layers.count > 10)
  }

  /// Compares the page with its table; `KEEL_UPDATE_DOCUMENTATION=1` (`make documentation`) writes it.
  @Test(arguments: tables) func thePageIsUpToDate(table: String) throws {
    let page = try Catalogue(file(table, "tsv")).page(in: sources)
    if ProcessInfo.processInfo.environment["KEEL_UPDATE_DOCUMENTATION"] == "1" {
      try page.write(to: file(table, "md"), atomically: true, encoding: .utf8)
    }
    let found = try? String(contentsOf: file(table, "md"), encoding: .utf8)
    #expect(found == page, "Documentation/\(table).md differs from its table: make documentation")
  }

  /// Pages of the documentation refer to pages that are there, and the first one lists all others.
  @Test func pagesAreLinked() throws {
    let folder = sources.root.appending(path: "Sources/Keel/Keel.docc")
    let pages = try FileManager.default.contentsOfDirectory(atPath: folder.path())
      .filter { $0.hasSuffix(".md") }.map { String($0.dropLast(3)) }
    #expect(pages.count > 10)
    for page in pages {
      let text = try String(contentsOf: folder.appending(path: "\(page).md"), encoding: .utf8)
      for link in text.matches(of: /<doc:([^>]*)>/).map({ String($0.output.1) }) {
        #expect(pages.contains(link), "\(page) refers to \(link)")
      }
      if page != "Keel" { #expect(sources.page(page) != nil, "\(page) is not listed") }
    }
  }

  /// A name that is not there is found missing, so that the tests above can fail.
  @Test func gapsAreFound() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let table = folder.appending(path: "table.tsv")
    let row = [
      "1", "a method", "noPrimitive", "none (a figure)", "NoKernel.run", "NoReference", "",
      "CatalogueTests/noTest", "NoPage",
    ]
    let columns = "section\tmethod\tprimitive\tgradient\tkernel\treference\tlayer\ttest\tpage"
    try ("Title\n\(columns)\n" + row.joined(separator: "\t") + "\n").write(
      to: table, atomically: true, encoding: .utf8)
    #expect(
      try Catalogue(table).gaps(in: sources) == [
        "a method: no primitive noPrimitive", "a method: no kernel NoKernel.run",
        "a method: no reference NoReference", "a method: no layer",
        "a method: no test CatalogueTests/noTest", "a method: no page NoPage",
      ])
  }
}
