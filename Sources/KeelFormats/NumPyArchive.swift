public import KeelTensor

/// A file of named arrays in NumPy's npz format, opened for reading: a zip file of npy files.
///
/// Opening reads and checks the directory alone: names once each, members that lie in the file and do not
/// overlap. Arrays are read when they are asked for, stored (`numpy.savez`) or deflated (`numpy.savez_compressed`),
/// and their checksums compared; what `NumPyFile` says holds for each. Names are those of `numpy.load`, without
/// `.npy`. The file is mapped into memory and must not be shortened while it is open; an array that is deflated is
/// unpacked first, to at most 1032 times its size in the file.
public struct NumPyArchive: Sendable {
  /// The names of the arrays, in the order of the file.
  public let names: [String]
  private let file: FileBytes
  private let members: [String: ZipDirectory.Member]

  /// Opens a file.
  /// - Throws: `KeelError` of kind `file`.
  public init(path: String) throws(KeelError) { try self.init(FileBytes(mapping: path)) }

  package init(_ file: FileBytes) throws(KeelError) {
    let directory = try file.withBytes { (bytes) throws(KeelError) in
      try ZipDirectory(bytes, path: file.path)
    }
    if directory.members.contains(where: { $0.name.hasSuffix("/data.pkl") }) {
      throw KeelError(
        .file, at: file.path, expected: "an npz file of arrays",
        found: "PyTorch's own format: save with safetensors.torch.save_file(model.state_dict(), …)")
    }
    names = directory.members.map {
      $0.name.hasSuffix(".npy") ? String($0.name.dropLast(4)) : $0.name
    }
    var members: [String: ZipDirectory.Member] = [:]
    for (name, member) in zip(names, directory.members) {
      guard members.updateValue(member, forKey: name) == nil else {
        throw KeelError(.file, at: file.path, expected: "every name once", found: "\(name) again")
      }
    }
    self.members = members
    self.file = file
  }

  /// Reads an array.
  /// - Throws: `KeelError` of kind `argument` for a name that the file does not have; of kind `file` where the
  ///   member is not an array or its checksum differs; of kind `value` as `NumPyFile.read(_:)`.
  public func value(named name: String) throws(KeelError) -> TensorValue {
    guard let member = members[name] else {
      throw KeelError(
        .argument, at: file.path, expected: "one of its \(names.count) arrays", found: name)
    }
    let place = "\(file.path): \(member.name)"
    return try file.withBytes { (bytes) throws(KeelError) in
      let packed = bytes.part(from: member.range.lowerBound, count: member.range.count)!
      guard member.isDeflated else { return try Self.value(packed, member, at: place) }
      let unpacked = try Inflation.bytes(packed, count: member.size, form: .raw, at: place)
      return try unpacked.withBytes { (bytes) throws(KeelError) in
        try Self.value(bytes, member, at: place)
      }
    }
  }

  /// Reads all arrays, by name.
  /// - Throws: as `value(named:)`.
  public func values() throws(KeelError) -> [String: TensorValue] {
    var result: [String: TensorValue] = [:]
    for name in names { result[name] = try value(named: name) }
    return result
  }

  private static func value(
    _ bytes: UnsafeRawBufferPointer, _ member: ZipDirectory.Member, at place: String
  ) throws(KeelError) -> TensorValue {
    let found = checksum(bytes)
    guard found == member.checksum else {
      throw KeelError(
        .file, at: place, expected: "the checksum \(String(member.checksum, radix: 16))",
        found: String(found, radix: 16))
    }
    return try NumPyFile.read(bytes, place: place)
  }
}

extension NumPyArchive {
  /// Writes arrays without compression, sorted by name, each as `NumPyFile.write(_:to:)` does. The same arrays make
  /// the same file. An old file of that name stays whole until the new one is.
  /// - Throws: `KeelError` of kind `file` where the file cannot be written; of kind `argument` for 4 GiB or more,
  ///   more than 65,534 arrays, or a name of more than 65,531 bytes, for which the plain zip format has no room.
  public static func write(
    _ values: [String: TensorValue], to path: String
  ) throws(KeelError) {
    let values = values.sorted { $0.key < $1.key }
    var size = 0
    for (name, value) in values {
      let width = value.elementType == .float32 ? 4 : value.elementType == .int64 ? 8 : 1
      size += value.shape.elementCount * width + 2 * name.utf8.count + 2048
    }
    guard size < 0xFFFF_FFFF, values.count < 0xFFFF,
      values.allSatisfy({ $0.key.utf8.count < 0xFFFC })
    else {
      throw KeelError(
        .argument, at: path, expected: "less than 4 GiB in fewer than 65,535 arrays",
        found: "\(size) bytes in \(values.count)")
    }
    try AtomicFile.write(to: path) { (file) throws(KeelError) in
      var directory: [UInt8] = []
      var offset = 0
      for (name, value) in values {
        let header = try NumPyFile.header(of: value, at: "\(path): \(name)")
        var sum = try header.withBytes { (bytes) in checksum(bytes) }
        var length = header.count
        try value.withStoredBytes { (bytes) throws(KeelError) in
          sum = checksum(bytes, following: sum)
          length += bytes.count
        }
        let name = Array("\(name).npy".utf8)
        let fields = memberFields(checksum: sum, size: length, nameLength: name.count)
        let head = littleEndianBytes(ZipDirectory.memberSignature) + fields + name
        directory += littleEndianBytes(ZipDirectory.entrySignature) + [20, 0] + fields
        // No comment, first disk, no attributes.
        directory += [UInt8](repeating: 0, count: 10) + littleEndianBytes(UInt32(offset)) + name
        try file.append(head + header)
        try value.withStoredBytes { (bytes) throws(KeelError) in try file.append(bytes) }
        offset += head.count + length
      }
      let count = littleEndianBytes(UInt16(values.count))
      let end = littleEndianBytes(UInt32(directory.count)) + littleEndianBytes(UInt32(offset))
      let record = littleEndianBytes(ZipDirectory.endSignature) + [0, 0, 0, 0]
      try file.append(directory + record + count + count + end + [0, 0])
    }
  }

  /// What a member's header and its entry have in common: version 2.0, names in UTF-8, stored, the first day of
  /// 1980, checksum, sizes, the length of the name and none of further fields.
  private static func memberFields(checksum: UInt32, size: Int, nameLength: Int) -> [UInt8] {
    let start: [UInt8] = [20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0]
    let size = littleEndianBytes(UInt32(size))
    return start + littleEndianBytes(checksum) + size + size
      + littleEndianBytes(UInt16(nameLength)) + [0, 0]
  }
}
