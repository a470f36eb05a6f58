package import KeelTensor
internal import KeelZlib

/// Unpacks deflated bytes with zlib.
package enum Inflation {
  /// What is around deflated bytes.
  package enum Form: Sendable {
    /// Nothing: members of a zip file.
    case raw
    /// A gzip file's header and checksum, which is compared.
    case gzip
  }

  /// The most bytes that one byte can stand for: what is larger by its own account is not believed.
  package static let largestRatio = 1032

  /// Whether so many bytes can unpack to so many.
  package static func canUnpack(_ packed: Int, to count: Int) -> Bool {
    count / largestRatio <= packed
  }

  /// Unpacks bytes whose unpacked number is known.
  /// - Throws: `KeelError` of kind `file` where the bytes are no deflated ones, or unpack to another number.
  package static func bytes(
    _ packed: UnsafeRawBufferPointer, count: Int, form: Form, at place: String
  ) throws(KeelError) -> [UInt8] {
    guard canUnpack(packed.count, to: count) else {
      throw KeelError(
        .file, at: place,
        expected: "at most \(largestRatio) times the packed \(packed.count) bytes",
        found: "\(count)")
    }
    // One byte more, which must stay unused.
    let (bytes, state) = try unpack(packed, atMost: count + 1, form: form, at: place)
    guard bytes.count == count, state.hasEnded, state.used == packed.count else {
      throw KeelError(
        .file, at: place, expected: "\(packed.count) bytes that unpack to \(count)",
        found: state.hasEnded
          ? "\(state.used) that unpack to \(bytes.count)"
          : bytes.count > count ? "more" : "an end after \(bytes.count)")
    }
    return bytes
  }

  /// Unpacks the first bytes, fewer where there are not so many.
  /// - Throws: `KeelError` of kind `file` where the bytes are no deflated ones.
  package static func prefix(
    _ packed: UnsafeRawBufferPointer, count: Int, form: Form, at place: String
  ) throws(KeelError) -> [UInt8] {
    try unpack(packed, atMost: count, form: form, at: place).bytes
  }

  private static func unpack(
    _ packed: UnsafeRawBufferPointer, atMost limit: Int, form: Form, at place: String
  ) throws(KeelError) -> (bytes: [UInt8], state: (hasEnded: Bool, used: Int)) {
    // At one address throughout: zlib remembers it.
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    stream.initialize(to: z_stream())
    defer { stream.deallocate() }
    guard keel_inflate_start(stream, form == .raw ? -15 : 15 + 16) == Z_OK else {
      throw KeelError(.file, at: place, expected: "memory to unpack with", found: "none")
    }
    defer { inflateEnd(stream) }
    var used = 0
    var status = Z_OK
    let bytes = [UInt8](unsafeUninitializedCapacity: limit) { out, written in
      // zlib counts in 32 bits.
      let most = 1 << 30
      while status == Z_OK {
        let (input, output) = (min(packed.count - used, most), min(limit - written, most))
        stream.pointee.next_in = packed.baseAddress.map {
          UnsafeMutablePointer(mutating: ($0 + used).assumingMemoryBound(to: Bytef.self))
        }
        stream.pointee.avail_in = UInt32(input)
        stream.pointee.next_out = out.baseAddress.map { $0 + written }
        stream.pointee.avail_out = UInt32(output)
        status = inflate(stream, Z_NO_FLUSH)
        used += input - Int(stream.pointee.avail_in)
        written += output - Int(stream.pointee.avail_out)
        if written == limit, status == Z_OK { break }
      }
    }
    // Z_BUF_ERROR: the input ended before the stream did, which the caller sees.
    guard [Z_OK, Z_STREAM_END, Z_BUF_ERROR].contains(status) else {
      throw KeelError(
        .file, at: place, expected: "deflated bytes",
        found: stream.pointee.msg.map { String(cString: $0) } ?? "others")
    }
    return (bytes, (status == Z_STREAM_END, used))
  }
}

/// The CRC-32 of bytes, as zip and PNG files have it.
package func checksum(_ bytes: UnsafeRawBufferPointer, following before: UInt32 = 0) -> UInt32 {
  // Without bytes zlib would begin anew.
  guard bytes.count > 0 else { return before }
  return UInt32(
    truncatingIfNeeded: crc32_z(
      UInt(before), bytes.baseAddress?.assumingMemoryBound(to: Bytef.self), bytes.count))
}
