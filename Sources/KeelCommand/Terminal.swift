import Foundation
import Keel

/// What goes to standard error: messages, and progress where someone watches.
enum Terminal {
  /// Prints a message.
  static func complain(_ message: String) {
    FileHandle.standardError.write(Data((message + "\n").utf8))
  }

  /// Prints what is wrong with the environment: settings that are not followed must not go unnoticed.
  static func complainAboutSettings() {
    for complaint in [VectorLevel.complaint, ThreadCount.complaint] {
      if let complaint { complain("warning: \(complaint)") }
    }
  }

  /// Whether standard error is a terminal.
  static let isWatched = isatty(FileHandle.standardError.fileDescriptor) != 0

  /// Shows what is being done while it is, where someone watches.
  static func during<Value>(_ work: String, _ body: () throws -> Value) rethrows -> Value {
    draw(work + " …")
    defer { draw("") }
    return try body()
  }

  /// Draws a line over the last one, where someone watches.
  static func draw(_ line: String) {
    guard isWatched else { return }
    FileHandle.standardError.write(Data("\r\(line)\u{1B}[K".utf8))
  }
}

/// A bar that is drawn over itself on standard error, if that is a terminal and the work takes over a second.
struct ProgressBar {
  private let title: String
  private let start = ContinuousClock.now
  private var lastDrawn = -1

  init(_ title: String) { self.title = title }

  /// Shows that a part of the work is done.
  mutating func show(_ done: Int, of total: Int, _ note: String) {
    guard Terminal.isWatched, total > 0 else { return }
    let permille = done * 1000 / total
    guard permille != lastDrawn, ContinuousClock.now - start > .seconds(1) else { return }
    lastDrawn = permille
    let filled = permille * 30 / 1000
    let bar = String(repeating: "█", count: filled) + String(repeating: "·", count: 30 - filled)
    Terminal.draw("\(title) \(bar) \(permille / 10) %  \(note)")
  }

  /// Clears the bar.
  func finish() { Terminal.draw("") }
}

/// A number with a fixed count of decimals.
func fixed(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }

/// A number as a digit, more digits and a power of ten.
func scientific(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)e", value) }

/// A time in four digits.
func milliseconds(_ value: Double) -> String {
  value < 1000 ? String(format: "%#.4g", value) : fixed(value, 0)
}

/// A whole number with a comma before each group of three digits.
func grouped(_ value: Int) -> String {
  var result = ""
  for (position, digit) in String(value.magnitude).reversed().enumerated() {
    if position > 0, position.isMultiple(of: 3) { result.append(",") }
    result.append(digit)
  }
  return (value < 0 ? "-" : "") + String(result.reversed())
}

/// A text behind as many spaces as fill a column.
func pad(_ text: String, _ width: Int) -> String {
  String(repeating: " ", count: max(0, width - text.count)) + text
}

/// A count and its noun.
func count(_ number: Int, _ noun: String) -> String {
  "\(grouped(number)) \(noun)\(number == 1 ? "" : "s")"
}

/// Prints a value as one JSON object on standard output.
func printJSON(_ value: some Encodable) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  encoder.keyEncodingStrategy = .convertToSnakeCase
  // A comparison that met a NaN must be reported, not fail to be printed.
  encoder.nonConformingFloatEncodingStrategy = .convertToString(
    positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
  print(String(decoding: try encoder.encode(value), as: UTF8.self))
}
