package import KeelTensor

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The bytes of a file, mapped into memory: pages are read when they are first looked at, and are the system's
/// to drop again.
///
/// The file must not become shorter while this lives. Keel's own writers never shorten a file, but put a new one
/// in its place.
///
/// Sendable although it holds a raw pointer: nobody writes through it.
package final class FileBytes: @unchecked Sendable {
  /// The path, for messages.
  package let path: String
  /// The number of bytes.
  package let count: Int
  private let base: UnsafeMutableRawPointer?
  private let isMapped: Bool

  /// Maps a file.
  /// - Throws: `KeelError` of kind `file` where there is none that can be read, or it is not a regular one.
  package init(mapping path: String) throws(KeelError) {
    self.path = path
    // Not to wait for the other end of a pipe, which is refused below.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw .system(path, expected: "a file that can be read")
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw .system(path, expected: "a file that can be read")
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw KeelError(
        .file, at: path, expected: "a file",
        found: status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "something else")
    }
    count = Int(status.st_size)
    isMapped = count > 0
    guard isMapped else {
      base = nil
      return
    }
    let address = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0)
    guard let address, address != UnsafeMutableRawPointer(bitPattern: -1) else {
      throw .system(path, expected: "a file that can be mapped into memory")
    }
    base = address
  }

  /// Holds a copy of bytes.
  package init(_ bytes: [UInt8], path: String) {
    self.path = path
    count = bytes.count
    isMapped = false
    base = .allocate(byteCount: max(count, 1), alignment: 64)
    base!.copyMemory(from: bytes, byteCount: count)
  }

  /// Gives the memory behind some bytes back to the system, which reads them again when they are looked at.
  package func release(_ range: Range<Int>) {
    guard isMapped, let base else { return }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let start = (range.lowerBound + page - 1) / page * page
    let end = range.upperBound / page * page
    if start < end { madvise(base + start, end - start, MADV_DONTNEED) }
  }

  deinit {
    if isMapped { munmap(base, count) } else { base?.deallocate() }
  }

  /// Calls a closure with the bytes.
  package func withBytes<Result>(
    _ body: (UnsafeRawBufferPointer) throws(KeelError) -> Result
  ) throws(KeelError) -> Result {
    defer { withExtendedLifetime(self) {} }
    return try body(UnsafeRawBufferPointer(start: base, count: count))
  }
}

extension KeelError {
  /// What the system's last call met.
  internal static func system(_ path: String, expected: String) -> KeelError {
    KeelError(.file, at: path, expected: expected, found: String(cString: strerror(errno)))
  }
}

extension UnsafeRawBufferPointer {
  /// A little-endian integer; nil where it is not all inside.
  package func integer<Value: FixedWidthInteger & BitwiseCopyable>(
    _: Value.Type, at offset: Int
  ) -> Value? {
    guard offset >= 0, offset <= count - MemoryLayout<Value>.size else { return nil }
    return Value(littleEndian: loadUnaligned(fromByteOffset: offset, as: Value.self))
  }

  /// Some of the bytes; nil where they are not all inside.
  package func part(from start: Int, count length: Int) -> UnsafeRawBufferPointer? {
    guard start >= 0, length >= 0, start <= count, length <= count - start else { return nil }
    return UnsafeRawBufferPointer(rebasing: self[start..<start + length])
  }
}

extension [UInt8] {
  /// Calls a closure with the bytes.
  package func withBytes<Value>(
    _ body: (UnsafeRawBufferPointer) throws(KeelError) -> Value
  ) throws(KeelError) -> Value {
    try withUnsafeBytes { bytes in
      Result<Value, KeelError> { () throws(KeelError) in try body(bytes) }
    }.get()
  }
}
