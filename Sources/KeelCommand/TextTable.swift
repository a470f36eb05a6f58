/// Rows of text in aligned columns, two spaces apart, under a line of titles.
struct TextTable {
  /// The side on which a column's texts end.
  enum Alignment {
    case left
    case right
  }

  private let alignments: [Alignment]
  private var rows: [[String]]

  /// Starts a table.
  init(_ columns: [(title: String, alignment: Alignment)]) {
    alignments = columns.map(\.alignment)
    rows = [columns.map(\.title)]
  }

  /// Adds a row.
  mutating func append(_ row: [String]) { rows.append(row) }

  /// The lines, without spaces at their ends.
  var lines: [String] {
    let widths = alignments.indices.map { column in rows.map { $0[column].count }.max()! }
    return rows.map { row in
      var line = ""
      for (column, text) in row.enumerated() {
        let space = String(repeating: " ", count: widths[column] - text.count)
        line +=
          (column == 0 ? "" : "  ") + (alignments[column] == .left ? text + space : space + text)
      }
      while line.last == " " { line.removeLast() }
      return line
    }
  }
}
