internal import KeelTensor

/// What an npy file says of its array.
internal struct NumPyHeader {
  let element: StoredElement
  let isBigEndian: Bool
  /// Whether the first index changes fastest.
  let isFortran: Bool
  let shape: Shape
  /// Where the elements begin.
  let dataStart: Int

  static let magic: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]
  /// The longest header that is read: that of a plain array has about 100 bytes.
  static let largestSize = 1 << 20

  /// Reads the header of versions 1, 2 and 3.
  /// - Throws: `KeelError` of kind `file`.
  init(_ bytes: UnsafeRawBufferPointer, place: String) throws(KeelError) {
    guard bytes.count >= 8, bytes.starts(with: Self.magic) else {
      throw KeelError(
        .file, at: place, expected: "an npy file, which begins with \\x93NUMPY",
        found: "\(bytes.count) bytes that begin otherwise")
    }
    let version = (bytes[6], bytes[7])
    guard (1...3).contains(version.0), version.1 == 0 else {
      throw KeelError(
        .file, at: "\(place): version", expected: "1.0, 2.0 or 3.0",
        found: "\(version.0).\(version.1)")
    }
    let start = version.0 == 1 ? 10 : 12
    let size =
      version.0 == 1
      ? bytes.integer(UInt16.self, at: 8).map(Int.init)
      : bytes.integer(UInt32.self, at: 8).map(Int.init)
    guard let size, size <= Self.largestSize, let text = bytes.part(from: start, count: size)
    else {
      throw KeelError(
        .file, at: "\(place): size of the header",
        expected: "at most \(min(Self.largestSize, max(bytes.count - start, 0))) bytes",
        found: size.map(String.init) ?? "the end of the file")
    }
    dataStart = start + size
    var scanner = TextScanner(text, place: "\(place): header")
    (element, isBigEndian, isFortran, shape) = try Self.fields(&scanner)
  }

  /// Parses `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`, keys in any order.
  private static func fields(
    _ scanner: inout TextScanner
  ) throws(KeelError) -> (StoredElement, Bool, Bool, Shape) {
    var type: (StoredElement, Bool)?
    var isFortran: Bool?
    var shape: [Int]?
    try scanner.expect("{")
    while !scanner.skip("}") {
      let key = try text(&scanner)
      try scanner.expect(":")
      switch key {
      case "descr" where type == nil: type = try self.type(&scanner)
      case "fortran_order" where isFortran == nil:
        if scanner.skip(word: "True") {
          isFortran = true
        } else if scanner.skip(word: "False") {
          isFortran = false
        } else {
          throw scanner.error(expected: "True or False")
        }
      case "shape" where shape == nil:
        shape = try scanner.numbers(from: "(", to: ")", trailingComma: true)
      default:
        throw scanner.error(expected: "descr, fortran_order and shape, each once", found: key)
      }
      if !scanner.skip(",") {
        try scanner.expect("}")
        break
      }
    }
    scanner.skipSpace()
    guard scanner.isAtEnd else { throw scanner.error(expected: "the end of the header") }
    guard let type, let isFortran, let shape else {
      throw scanner.error(expected: "descr, fortran_order and shape", found: "one of them missing")
    }
    return (type.0, type.1, isFortran, Shape(shape))
  }

  private static func text(_ scanner: inout TextScanner) throws(KeelError) -> String {
    scanner.skipSpace()
    return try scanner.text(quote: scanner.next == "\"" ? "\"" : "'")
  }

  private static func type(
    _ scanner: inout TextScanner
  ) throws(KeelError) -> (StoredElement, Bool) {
    scanner.skipSpace()
    guard scanner.next == "'" || scanner.next == "\"" else {
      throw scanner.error(expected: "a plain element type")
    }
    let text = try text(&scanner)
    let elements: [String: StoredElement] = [
      "b1": .bool, "u1": .uint8, "u2": .uint16, "u4": .uint32, "u8": .uint64, "i1": .int8,
      "i2": .int16, "i4": .int32, "i8": .int64, "f2": .float16, "f4": .float32, "f8": .float64,
    ]
    guard let order = text.first, let element = elements[String(text.dropFirst())],
      "<>=".contains(order) || (order == "|" && element.size == 1)
    else {
      throw scanner.error(
        expected:
          "an element type of \(elements.keys.sorted().joined(separator: ", ")) with < or >",
        found: text)
    }
    return (element, order == ">")
  }
}
