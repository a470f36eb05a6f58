internal import KeelTensor

/// Reads the texts at the beginning of files from left to right.
internal struct TextScanner {
  private let bytes: [UInt8]
  private var position = 0
  /// The file and which text of it.
  private let place: String

  init(_ bytes: UnsafeRawBufferPointer, place: String) {
    self.bytes = Array(bytes)
    self.place = place
  }

  /// Whether nothing is left.
  var isAtEnd: Bool { position == bytes.count }

  /// The next byte as an ASCII character; nil at the end.
  var next: Unicode.Scalar? { isAtEnd ? nil : Unicode.Scalar(bytes[position]) }

  /// The error of this position.
  func error(expected: String, found: String? = nil) -> KeelError {
    let found = found.map { $0.isEmpty ? "an empty text" : $0 }
    return KeelError(
      .file, at: "\(place), byte \(position)", expected: expected,
      found: found ?? next.map { Self.quoted($0) } ?? "its end")
  }

  /// Passes spaces and line breaks.
  mutating func skipSpace() {
    while let next, next == " " || next == "\n" || next == "\t" || next == "\r" { position += 1 }
  }

  /// Passes spaces and then, where it is next, a character.
  mutating func skip(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard next == character else { return false }
    position += 1
    return true
  }

  /// Passes spaces and a character.
  mutating func expect(_ character: Unicode.Scalar) throws(KeelError) {
    guard skip(character) else { throw error(expected: Self.quoted(character)) }
  }

  /// Passes spaces and then, where it is next, a word.
  mutating func skip(word: String) -> Bool {
    skipSpace()
    guard bytes[position...].starts(with: word.utf8) else { return false }
    position += word.utf8.count
    return true
  }

  /// A whole number from 0 on, without leading zeros.
  mutating func number() throws(KeelError) -> Int {
    skipSpace()
    let start = position
    var value = 0
    while position < bytes.count, (0x30...0x39).contains(bytes[position]) {
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, more) = tens.addingReportingOverflow(Int(bytes[position] - 0x30))
      guard !overflow, !more else {
        throw error(expected: "a number up to \(Int.max)", found: "a larger one")
      }
      value = sum
      position += 1
    }
    guard position > start else { throw error(expected: "a whole number from 0 on") }
    guard bytes[start] != 0x30 || position == start + 1 else {
      throw error(expected: "a number without leading zeros")
    }
    return value
  }

  /// A list of whole numbers between brackets; a comma may follow the last where `trailingComma`.
  mutating func numbers(
    from open: Unicode.Scalar, to close: Unicode.Scalar, trailingComma: Bool
  ) throws(KeelError) -> [Int] {
    try expect(open)
    var result: [Int] = []
    while !skip(close) {
      if !result.isEmpty {
        try expect(",")
        if trailingComma, skip(close) { break }
      }
      result.append(try number())
    }
    return result
  }

  /// A text in quotes, with JSON's escapes.
  mutating func text(quote: Unicode.Scalar) throws(KeelError) -> String {
    try expect(quote)
    let quote = UInt8(ascii: quote)
    var result: [UInt8] = []
    while true {
      guard position < bytes.count else { throw error(expected: "the end of a text") }
      let byte = bytes[position]
      guard byte >= 0x20 else { throw error(expected: "a text without control characters") }
      if byte == quote { break }
      position += 1
      if byte == 0x5C { result += try escaped().utf8 } else { result.append(byte) }
    }
    position += 1
    guard let text = String(validating: result, as: UTF8.self) else {
      throw error(expected: "a text in UTF-8", found: "other bytes")
    }
    return text
  }

  private static let escapes: [Unicode.Scalar: String] = [
    "\"": "\"", "\\": "\\", "/": "/", "b": "\u{8}", "f": "\u{C}", "n": "\n", "r": "\r", "t": "\t",
  ]

  private static func quoted(_ character: Unicode.Scalar) -> String { "'\(character)'" }

  /// What follows a backslash.
  private mutating func escaped() throws(KeelError) -> String {
    guard let character = next else { throw error(expected: "the end of a text") }
    if let meant = Self.escapes[character] {
      position += 1
      return meant
    }
    guard character == "u" else { throw error(expected: "an escape of JSON") }
    position += 1
    var units = [try codeUnit()]
    if UTF16.isLeadSurrogate(units[0]), bytes[position...].starts(with: [0x5C, 0x75]) {
      position += 2
      units.append(try codeUnit())
    }
    guard let text = String(validating: units, as: UTF16.self) else {
      throw error(expected: "a pair of surrogates", found: "one alone")
    }
    return text
  }

  private mutating func codeUnit() throws(KeelError) -> UInt16 {
    let digits = bytes[position...].prefix(4)
    guard digits.count == 4, let text = String(validating: digits, as: UTF8.self),
      text.allSatisfy(\.isHexDigit), let unit = UInt16(text, radix: 16)
    else { throw error(expected: "four hexadecimal digits") }
    position += 4
    return unit
  }
}
