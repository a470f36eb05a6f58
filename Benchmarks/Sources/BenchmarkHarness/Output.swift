import Foundation

/// The one JSON object that a benchmark prints with `--json`.
public func jsonText(_ report: some Encodable) throws -> String {
  let encoder = JSONEncoder()
  encoder.keyEncodingStrategy = .convertToSnakeCase
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  return String(decoding: try encoder.encode(report), as: UTF8.self)
}

/// One line on standard error that says what is being measured, where standard error is a terminal.
public struct Progress: Sendable {
  private let isTerminal = isatty(STDERR_FILENO) == 1

  /// Makes a progress line.
  public init() {}

  /// Replaces the line.
  public func show(_ text: String) { if isTerminal { write("\r\u{1B}[K" + text) } }

  /// Removes the line.
  public func clear() { if isTerminal { write("\r\u{1B}[K") } }

  private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}

/// Writes a line to standard error.
public func complain(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
