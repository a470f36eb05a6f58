/// A table of text with aligned columns.
public struct Table {
  /// Where a column's text stands.
  public enum Alignment: Sendable {
    /// At the left: names.
    case left
    /// At the right: numbers.
    case right
  }

  private let titles: [String]
  private let alignments: [Alignment]
  private var rows: [[String]] = []

  /// Makes a table without rows from its columns.
  public init(_ columns: [(title: String, alignment: Alignment)]) {
    titles = columns.map(\.title)
    alignments = columns.map(\.alignment)
  }

  /// Adds a row.
  /// - Precondition: one cell per column.
  public mutating func add(_ cells: [String]) {
    precondition(cells.count == titles.count, "\(cells.count) cells for \(titles.count) columns")
    rows.append(cells)
  }

  /// The table's lines: titles, a rule, rows; no line ends in blanks.
  public func render() -> String {
    let all = [titles] + rows
    let widths = titles.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    var lines = all.map { cells in
      let padded = cells.indices.map { column in
        let blank = String(repeating: " ", count: widths[column] - cells[column].count)
        return alignments[column] == .left ? cells[column] + blank : blank + cells[column]
      }
      let line = padded.joined(separator: "  ")
      return String(line.prefix(line.count - line.reversed().prefix { $0 == " " }.count))
    }
    lines.insert(widths.map { String(repeating: "-", count: $0) }.joined(separator: "  "), at: 1)
    return lines.joined(separator: "\n")
  }
}

/// A number with a fixed count of digits after the point, or `-` for none.
public func fixed(_ number: Double?, _ digits: Int) -> String {
  guard let number, number.isFinite else { return number.map { "\($0)" } ?? "-" }
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  let whole = Int((abs(number) * scale).rounded())
  let sign = number < 0 && whole > 0 ? "-" : ""
  guard digits > 0 else { return sign + "\(whole)" }
  let text = "\(whole)"
  let padded = String(repeating: "0", count: max(0, digits + 1 - text.count)) + text
  return sign + padded.dropLast(digits) + "." + padded.suffix(digits)
}
