internal import KeelTensor

/// What a zip file says of its members, by PKWARE's APPNOTE 6.3.10.
internal struct ZipDirectory {
  /// A member.
  struct Member {
    let name: String
    /// Whether its bytes are deflated; otherwise they are stored as they are.
    let isDeflated: Bool
    let checksum: UInt32
    /// Its bytes in the file.
    let range: Range<Int>
    /// The number of its bytes when unpacked.
    let size: Int
  }

  static let endSignature: UInt32 = 0x0605_4B50
  static let entrySignature: UInt32 = 0x0201_4B50
  static let memberSignature: UInt32 = 0x0403_4B50

  /// The members in the directory's order.
  let members: [Member]

  /// Reads the directory at the end of a file, in zip64 form too, and checks that members lie before it and do not
  /// overlap.
  /// - Throws: `KeelError` of kind `file`.
  init(_ bytes: UnsafeRawBufferPointer, path: String) throws(KeelError) {
    let (start, end, count) = try Self.bounds(bytes, path: path)
    var members: [Member] = []
    var starts: [Int] = []
    var at = start
    for position in 0..<count {
      let place = "\(path): zip directory, entry \(position + 1) of \(count)"
      let entry = try ZipEntry(bytes, at: at, end: end, place: place)
      at += entry.length
      members.append(try entry.member(in: bytes, before: start, place: place))
      starts.append(entry.memberStart)
    }
    guard at == end else {
      throw KeelError(
        .file, at: "\(path): zip directory", expected: "its end after \(count) entries",
        found: "\(end - at) bytes more")
    }
    let order = starts.indices.sorted { starts[$0] < starts[$1] }
    for (first, second) in zip(order, order.dropFirst())
    where members[first].range.upperBound > starts[second] {
      throw KeelError(
        .file, at: "\(path): \(members[second].name)",
        expected: "a member behind \(members[first].name)", found: "one that overlaps it")
    }
    self.members = members
  }

  /// Where the directory begins and ends and how many entries it has.
  private static func bounds(
    _ bytes: UnsafeRawBufferPointer, path: String
  ) throws(KeelError) -> (Int, Int, Int) {
    let size = 22
    // The record ends with a comment of at most 65,535 bytes.
    let first = max(bytes.count - size - 0xFFFF, 0)
    guard bytes.count >= size,
      let at = (first...bytes.count - size).last(where: {
        bytes.integer(UInt32.self, at: $0) == endSignature
          && bytes.integer(UInt16.self, at: $0 + 20).map(Int.init) == bytes.count - size - $0
      })
    else {
      throw KeelError(
        .file, at: path, expected: "a zip file with its directory at the end",
        found: "\(bytes.count) bytes without")
    }
    var limit = at
    var count = Int(bytes.integer(UInt16.self, at: at + 10)!)
    var length = Int(bytes.integer(UInt32.self, at: at + 12)!)
    var start = Int(bytes.integer(UInt32.self, at: at + 16)!)
    if count == 0xFFFF || length == 0xFFFF_FFFF || start == 0xFFFF_FFFF {
      guard bytes.integer(UInt32.self, at: at - 20) == 0x0706_4B50,
        let record = bytes.integer(UInt64.self, at: at - 12).flatMap(Int.init(exactly:)),
        bytes.integer(UInt32.self, at: record) == 0x0606_4B50, record <= at - 20 - 56,
        let wide = [32, 40, 48].compactMap({
          bytes.integer(UInt64.self, at: record + $0).flatMap(Int.init(exactly:))
        }) as [Int]?, wide.count == 3
      else {
        throw KeelError(
          .file, at: "\(path): zip64 directory", expected: "a record of its place",
          found: "none that is in the file")
      }
      limit = record
      (count, length, start) = (wide[0], wide[1], wide[2])
    }
    guard start <= limit, length == limit - start, count <= length / ZipEntry.fixedLength else {
      throw KeelError(
        .file, at: "\(path): zip directory", expected: "one that ends at byte \(limit)",
        found: "\(count) entries in \(length) bytes from byte \(start) on")
    }
    return (start, limit, count)
  }
}

/// An entry of a zip file's directory.
private struct ZipEntry {
  /// The bytes of an entry before its name.
  static let fixedLength = 46

  let name: String
  let nameLength: Int
  let method: UInt16
  let checksum: UInt32
  let packedSize: Int
  let size: Int
  /// Where the member's own header begins.
  let memberStart: Int
  /// The bytes of the entry.
  let length: Int

  init(_ bytes: UnsafeRawBufferPointer, at: Int, end: Int, place: String) throws(KeelError) {
    func short(_ offset: Int) -> Int { bytes.integer(UInt16.self, at: at + offset).map(Int.init)! }
    func long(_ offset: Int) -> Int { bytes.integer(UInt32.self, at: at + offset).map(Int.init)! }
    guard at <= end - Self.fixedLength,
      bytes.integer(UInt32.self, at: at) == ZipDirectory.entrySignature
    else {
      throw KeelError(.file, at: place, expected: "an entry", found: "other bytes, or the end")
    }
    nameLength = short(28)
    let extraLength = short(30)
    length = Self.fixedLength + nameLength + extraLength + short(32)
    guard length <= end - at,
      let nameBytes = bytes.part(from: at + Self.fixedLength, count: nameLength),
      let extra = bytes.part(from: at + Self.fixedLength + nameLength, count: extraLength)
    else {
      throw KeelError(
        .file, at: place, expected: "at most \(end - at) bytes", found: "\(length)")
    }
    guard let name = String(validating: nameBytes, as: UTF8.self) else {
      throw KeelError(.file, at: place, expected: "a name in UTF-8", found: "other bytes")
    }
    guard short(8) & 1 == 0 else {
      throw KeelError(.file, at: place, expected: "\(name) as it is", found: "it encrypted")
    }
    self.name = name
    method = UInt16(short(10))
    checksum = UInt32(long(16))
    var sizes = [long(24), long(20), long(42)]
    let isWide = sizes.map { $0 == 0xFFFF_FFFF }
    if isWide.contains(true) {
      guard let wide = Self.wideSizes(extra, count: isWide.count { $0 }) else {
        throw KeelError(
          .file, at: place, expected: "the sizes of \(name) in a zip64 field", found: "none")
      }
      for (i, value) in zip(sizes.indices.filter { isWide[$0] }, wide) { sizes[i] = value }
    }
    (size, packedSize, memberStart) = (sizes[0], sizes[1], sizes[2])
  }

  /// The numbers of a zip64 field.
  private static func wideSizes(_ extra: UnsafeRawBufferPointer, count: Int) -> [Int]? {
    var at = 0
    while let id = extra.integer(UInt16.self, at: at),
      let length = extra.integer(UInt16.self, at: at + 2).map(Int.init)
    {
      if id == 1 {
        guard let field = extra.part(from: at + 4, count: length) else { return nil }
        let values = (0..<count).compactMap {
          field.integer(UInt64.self, at: $0 * 8).flatMap(Int.init(exactly:))
        }
        return values.count == count ? values : nil
      }
      at += 4 + length
    }
    return nil
  }

  /// The member, whose own header is looked at for where its bytes begin.
  func member(
    in bytes: UnsafeRawBufferPointer, before end: Int, place: String
  ) throws(KeelError) -> ZipDirectory.Member {
    let fixed = 30
    guard memberStart <= end - fixed,
      bytes.integer(UInt32.self, at: memberStart) == ZipDirectory.memberSignature,
      bytes.integer(UInt16.self, at: memberStart + 26).map(Int.init) == nameLength,
      bytes.part(from: memberStart + fixed, count: nameLength)?.elementsEqual(name.utf8) == true
    else {
      throw KeelError(
        .file, at: place, expected: "\(name) at byte \(memberStart)", found: "other bytes")
    }
    let extra = Int(bytes.integer(UInt16.self, at: memberStart + 28)!)
    let start = memberStart + fixed + nameLength + extra
    guard start <= end, packedSize <= end - start else {
      throw KeelError(
        .file, at: place, expected: "\(packedSize) bytes of \(name) before the directory",
        found: "\(max(end - start, 0))")
    }
    guard method == 0 || method == 8 else {
      throw KeelError(
        .file, at: place, expected: "\(name) stored or deflated", found: "method \(method)")
    }
    guard method == 8 || packedSize == size else {
      throw KeelError(
        .file, at: place, expected: "\(size) bytes of \(name) as stored", found: "\(packedSize)")
    }
    return ZipDirectory.Member(
      name: name, isDeflated: method == 8, checksum: checksum, range: start..<start + packedSize,
      size: size)
  }
}
