import Foundation

/// What goes to standard error: messages, and progress where someone watches.
enum Terminal {
  /// Prints a message.
  static func complain(_ message: String) {
    FileHandle.standardError.write(Data((message + "\n").utf8))
  }

  /// Whether standard error is a terminal.
  static let isWatched = isatty(FileHandle.standardError.fileDescriptor) != 0
}

/// A bar that is drawn over itself on standard error, if that is a terminal.
struct ProgressBar {
  private let title: String
  private var lastDrawn = -1

  init(_ title: String) { self.title = title }

  /// Shows that a part of the work is done.
  mutating func show(_ done: Int, of total: Int, _ note: String) {
    guard Terminal.isWatched, total > 0 else { return }
    let permille = done * 1000 / total
    guard permille != lastDrawn else { return }
    lastDrawn = permille
    let filled = permille * 30 / 1000
    let bar = String(repeating: "█", count: filled) + String(repeating: "·", count: 30 - filled)
    let line = "\r\(title) \(bar) \(permille / 10) %  \(note)\u{1B}[K"
    FileHandle.standardError.write(Data(line.utf8))
  }

  /// Clears the bar.
  func finish() {
    guard Terminal.isWatched else { return }
    FileHandle.standardError.write(Data("\r\u{1B}[K".utf8))
  }
}

/// A number with a fixed count of decimals.
func fixed(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }

/// Prints a value as one JSON object on standard output.
func printJSON(_ value: some Encodable) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  encoder.keyEncodingStrategy = .convertToSnakeCase
  print(String(decoding: try encoder.encode(value), as: UTF8.self))
}
