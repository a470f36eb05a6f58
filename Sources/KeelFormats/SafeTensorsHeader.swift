internal import KeelTensor

/// What a safetensors file says of itself: `{"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
/// …, "__metadata__": {"key": "text"}}`.
internal struct SafeTensorsHeader {
  /// A tensor.
  struct Entry {
    let name: String
    let element: StoredElement
    let shape: Shape
    /// Its bytes behind the header.
    let range: Range<Int>
  }

  /// The tensors, first bytes first.
  let entries: [Entry]
  let metadata: [String: String]

  /// The largest header that is read, as in the format's own library.
  static let largestSize = 100_000_000
  static let metadataName = "__metadata__"
  /// The bytes before the header, which are its size.
  static let prefixSize = 8

  static let elements: [String: StoredElement] = [
    "F64": .float64, "F32": .float32, "F16": .float16, "BF16": .bfloat16, "I64": .int64,
    "I32": .int32, "I16": .int16, "I8": .int8, "U64": .uint64, "U32": .uint32, "U16": .uint16,
    "U8": .uint8, "BOOL": .bool,
  ]

  /// Reads and checks the header of a file.
  /// - Throws: `KeelError` of kind `file`.
  init(_ bytes: UnsafeRawBufferPointer, path: String) throws(KeelError) {
    guard let size = bytes.integer(UInt64.self, at: 0) else {
      throw KeelError(
        .file, at: path, expected: "a safetensors file of at least \(Self.prefixSize) bytes",
        found: "\(bytes.count)")
    }
    let limit = min(bytes.count - Self.prefixSize, Self.largestSize)
    guard size <= UInt64(limit), let text = bytes.part(from: Self.prefixSize, count: Int(size))
    else {
      throw KeelError(
        .file, at: "\(path): size of the safetensors header", expected: "at most \(limit) bytes",
        found: "\(size)")
    }
    var scanner = TextScanner(text, place: "\(path): header")
    var entries: [Entry] = []
    var names: Set<String> = []
    var metadata: [String: String] = [:]
    try scanner.expect("{")
    var isFirst = true
    while !scanner.skip("}") {
      if !isFirst { try scanner.expect(",") }
      isFirst = false
      let name = try scanner.text(quote: "\"")
      try scanner.expect(":")
      guard names.insert(name).inserted else {
        throw scanner.error(expected: "every name once", found: "\(name) again")
      }
      if name == Self.metadataName {
        metadata = try Self.metadata(&scanner)
      } else {
        entries.append(try Self.entry(name, &scanner))
      }
    }
    scanner.skipSpace()
    guard scanner.isAtEnd else { throw scanner.error(expected: "the end of the header") }
    entries.sort {
      ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
    }
    self.entries = entries
    self.metadata = metadata
    try check(dataSize: bytes.count - Self.prefixSize - Int(size), path: path)
  }

  private static func metadata(
    _ scanner: inout TextScanner
  ) throws(KeelError) -> [String: String] {
    var result: [String: String] = [:]
    try scanner.expect("{")
    while !scanner.skip("}") {
      if !result.isEmpty { try scanner.expect(",") }
      let key = try scanner.text(quote: "\"")
      try scanner.expect(":")
      guard result.updateValue(try scanner.text(quote: "\""), forKey: key) == nil else {
        throw scanner.error(expected: "every key once", found: "\(key) again")
      }
    }
    return result
  }

  private static func entry(
    _ name: String, _ scanner: inout TextScanner
  ) throws(KeelError) -> Entry {
    var element: StoredElement?
    var shape: [Int]?
    var offsets: [Int]?
    try scanner.expect("{")
    for position in 0..<3 {
      if position > 0 { try scanner.expect(",") }
      let key = try scanner.text(quote: "\"")
      try scanner.expect(":")
      switch key {
      case "dtype" where element == nil:
        let name = try scanner.text(quote: "\"")
        guard let known = elements[name] else {
          throw scanner.error(
            expected: "a dtype of \(elements.keys.sorted().joined(separator: ", "))", found: name)
        }
        element = known
      case "shape" where shape == nil:
        shape = try scanner.numbers(from: "[", to: "]", trailingComma: false)
      case "data_offsets" where offsets == nil:
        offsets = try scanner.numbers(from: "[", to: "]", trailingComma: false)
      default:
        throw scanner.error(expected: "dtype, shape and data_offsets, each once", found: key)
      }
    }
    try scanner.expect("}")
    guard let element, let shape, let offsets else {
      throw scanner.error(expected: "dtype, shape and data_offsets")
    }
    guard offsets.count == 2, offsets[0] <= offsets[1] else {
      throw scanner.error(
        expected: "the first and last data_offsets of \(name), ascending", found: "\(offsets)")
    }
    guard let size = element.byteCount(of: shape), size == offsets[1] - offsets[0] else {
      throw scanner.error(
        expected: "data_offsets of \(name) as far apart as its shape \(Shape(shape)) is large",
        found: "\(offsets)")
    }
    return Entry(
      name: name, element: element, shape: Shape(shape), range: offsets[0]..<offsets[1])
  }

  /// Tensors lie one behind the other from the first byte to the last.
  private func check(dataSize: Int, path: String) throws(KeelError) {
    var end = 0
    for entry in entries {
      guard entry.range.lowerBound == end else {
        throw KeelError(
          .file, at: "\(path): data_offsets of \(entry.name)",
          expected: "\(end), where the tensor before it ends", found: "\(entry.range.lowerBound)")
      }
      end = entry.range.upperBound
    }
    guard end == dataSize else {
      throw KeelError(
        .file, at: path, expected: "\(end) bytes behind the header", found: "\(dataSize)")
    }
  }
}
