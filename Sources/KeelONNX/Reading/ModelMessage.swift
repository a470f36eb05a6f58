import KeelTensor

/// A model's message without the bytes of its large initializers. They stay where they lie in the file and are
/// decoded from there: a message with all of them would hold each a second time.
struct ModelMessage {
  /// The rest, in the format of protocol buffers.
  private(set) var bytes: [UInt8] = []
  /// Where the elements of initializers lie in the file, by the initializer's position.
  private(set) var elements: [Int: Range<Int>] = [:]

  /// Elements of fewer bytes stay in the message.
  private static let fewBytes = 1024

  private enum Number {
    static let graph: UInt64 = 7
    static let initializer: UInt64 = 5
    static let rawData: UInt64 = 9
  }

  /// Goes through a file, which it does not check further than its fields' lengths.
  /// - Returns: nil where a field does not end inside of what holds it.
  init?(_ file: UnsafeRawBufferPointer) {
    var fields = FieldScanner(file, 0..<file.count)
    while let field = fields.next() {
      if field.number == Number.graph, let content = field.content {
        guard let graph = graph(file, content) else { return nil }
        append(tag: field, graph, to: &bytes)
      } else {
        bytes += file[field.whole]
      }
    }
    if !fields.isComplete { return nil }
  }

  private var initializers = 0

  private mutating func graph(_ file: UnsafeRawBufferPointer, _ range: Range<Int>) -> [UInt8]? {
    var result: [UInt8] = []
    var fields = FieldScanner(file, range)
    while let field = fields.next() {
      guard field.number == Number.initializer, let content = field.content else {
        result += file[field.whole]
        continue
      }
      guard let (tensor, raw) = tensor(file, content) else { return nil }
      if let raw { elements[initializers] = raw }
      initializers += 1
      append(tag: field, tensor, to: &result)
    }
    return fields.isComplete ? result : nil
  }

  private func tensor(
    _ file: UnsafeRawBufferPointer, _ range: Range<Int>
  ) -> (message: [UInt8], elements: Range<Int>?)? {
    var result: [UInt8] = []
    var elements: Range<Int>?
    var fields = FieldScanner(file, range)
    while let field = fields.next() {
      if field.number == Number.rawData, let content = field.content,
        content.count >= Self.fewBytes
      {
        // Of a field that is given twice the last one counts.
        elements = content
      } else {
        result += file[field.whole]
      }
    }
    return fields.isComplete ? (result, elements) : nil
  }

  private func append(tag: FieldScanner.Field, _ content: [UInt8], to message: inout [UInt8]) {
    append(tag.number << 3 | 2, to: &message)
    append(UInt64(content.count), to: &message)
    message += content
  }

  private func append(_ value: UInt64, to message: inout [UInt8]) {
    var rest = value
    while rest >= 0x80 {
      message.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    message.append(UInt8(rest))
  }
}

/// Finds the fields of a message of protocol buffers.
private struct FieldScanner {
  struct Field {
    let number: UInt64
    /// With its number and length.
    let whole: Range<Int>
    /// The bytes of a field with a length; nil for numbers.
    let content: Range<Int>?
  }

  private let file: UnsafeRawBufferPointer
  private let end: Int
  private var position: Int
  private var hasFailed = false

  init(_ file: UnsafeRawBufferPointer, _ range: Range<Int>) {
    self.file = file
    position = range.lowerBound
    end = range.upperBound
  }

  /// Whether every byte belonged to a field.
  var isComplete: Bool { !hasFailed && position == end }

  private mutating func number() -> UInt64? {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      guard position < end else { return nil }
      let byte = file[position]
      position += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    return nil
  }

  mutating func next() -> Field? {
    guard !hasFailed, position < end else { return nil }
    let start = position
    guard let tag = number() else { return fail() }
    var content: Range<Int>?
    switch tag & 7 {
    case 0: if number() == nil { return fail() }
    case 1: position += 8
    case 2:
      guard let length = number(), length <= UInt64(end - position) else { return fail() }
      content = position..<position + Int(length)
      position += Int(length)
    case 5: position += 4
    default: return fail()
    }
    guard position <= end else { return fail() }
    return Field(number: tag >> 3, whole: start..<position, content: content)
  }

  private mutating func fail() -> Field? {
    hasFailed = true
    return nil
  }
}
