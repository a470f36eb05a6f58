import Foundation

/// A table of what is implemented: one method a row, the names of its parts in the cells.
///
/// Kept as tab-separated lines: section, method, then the columns that the second line names. A cell holds
/// names separated by commas, or `none (why)`; an empty cell is a gap.
struct Catalogue {
  /// What a method consists of.
  enum Column: String, CaseIterable {
    /// The choices of the algebra, in words.
    case composition
    case primitive, gradient, kernel, reference, layer, test
    /// A page of the documentation.
    case page
  }

  /// One method.
  struct Row {
    /// Where the method stands in the reference's numbering.
    let section: String
    /// The method.
    let method: String
    /// The names in each column.
    let cells: [Column: String]

    /// The names of a column.
    func names(_ column: Column) -> [String] {
      let cell = cells[column] ?? ""
      return Self.reason(cell) == nil
        ? cell.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) } : []
    }

    /// Why a cell has no names.
    func reason(_ column: Column) -> String? { Self.reason(cells[column] ?? "") }

    private static func reason(_ cell: String) -> String? {
      cell.wholeMatch(of: /none \((.+)\)/).map { String($0.output.1) }
    }
  }

  /// What the table is about.
  let title: String
  /// What it says of each method.
  let columns: [Column]
  /// The methods.
  let rows: [Row]

  /// Reads a table. The first line is its title, the second names the columns.
  init(_ file: URL) throws {
    var lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
    title = String(lines.removeFirst())
    let columns = lines.removeFirst().split(separator: "\t").compactMap {
      Column(rawValue: String($0))
    }
    self.columns = columns
    rows = lines.map { line in
      let cells = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      return Row(
        section: cells[0], method: cells.count > 1 ? cells[1] : "",
        cells: Dictionary(uniqueKeysWithValues: zip(columns, cells.dropFirst(2))))
    }
  }

  /// What is missing: cells without names or reason, and names that the sources do not have.
  func gaps(in sources: SourceIndex) -> [String] {
    var result: [String] = []
    for row in rows {
      for column in columns where row.reason(column) == nil {
        let names = row.names(column)
        if names.isEmpty { result.append("\(row.method): no \(column)") }
        for name in names where file(of: name, column, in: sources) == nil {
          result.append("\(row.method): no \(column) \(name)")
        }
      }
    }
    return result
  }

  /// The file that declares a name; of a composition, the one that states its choices.
  func file(of name: String, _ column: Column, in sources: SourceIndex) -> String? {
    switch column {
    case .composition: "Sources/KeelTensor/Normalization/Normalization.swift"
    case .primitive, .gradient:
      sources.primitives.contains(name) ? "Sources/KeelGraph/Primitive.swift" : nil
    case .kernel: sources.declaration(of: name, under: ["Sources/KeelKernels"])
    case .reference:
      sources.declaration(of: name, under: ["Sources/KeelReference", "Sources/KeelTensor"])
    case .layer:
      sources.declaration(
        of: name,
        under: ["KeelLayers", "KeelGraph", "KeelTraining", "KeelTensor", "KeelExecution"].map {
          "Sources/" + $0
        })
    case .test: sources.test(name)
    case .page: sources.page(name)
    }
  }

  /// The table as a page, each name linked to the file that declares it.
  func page(in sources: SourceIndex) -> String {
    var lines = [
      "# \(title)", "",
      "Made by `make documentation` from the table beside it; a test fails where a name is missing.",
      "",
      "| section | method | " + columns.map(\.rawValue).joined(separator: " | ") + " |",
      "|---|---|" + String(repeating: "---|", count: columns.count),
    ]
    for row in rows {
      let cells = columns.map { column in
        if let reason = row.reason(column) { return "*\(reason)*" }
        if column == .composition { return row.names(column).joined(separator: ", ") }
        return row.names(column).map { name in
          let file = file(of: name, column, in: sources) ?? ""
          let shown = name.split(separator: "/").last.map(String.init) ?? name
          return "[\(shown)](../\(file))"
        }.joined(separator: ", ")
      }
      lines.append("| \(row.section) | \(row.method) | \(cells.joined(separator: " | ")) |")
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
