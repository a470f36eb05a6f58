package import KeelTensor

/// The bytes of an integer, the lowest first.
internal func littleEndianBytes(_ value: some FixedWidthInteger) -> [UInt8] {
  (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
}

extension DenseArray {
  /// Calls a closure with the elements as files have them, the lowest byte first, which is how every machine that
  /// Keel runs on keeps them.
  internal func withStoredBytes(
    _ body: (UnsafeRawBufferPointer) throws(KeelError) -> Void
  ) throws(KeelError) {
    #if _endian(big)
      #error("files of this machine's byte order would not be those of others")
    #endif
    defer { withExtendedLifetime(self) {} }
    try body(UnsafeRawBufferPointer(start: unsafeBase, count: count * MemoryLayout<Element>.stride))
  }
}

extension StoredElement {
  /// What elements are read as.
  package var elementType: ElementType {
    switch self {
    case .bool: .bool
    case .float16, .bfloat16, .float32, .float64: .float32
    default: .int64
    }
  }
}

extension TensorValue {
  /// Calls a closure with the elements as files have them.
  internal func withStoredBytes(
    _ body: (UnsafeRawBufferPointer) throws(KeelError) -> Void
  ) throws(KeelError) {
    switch self {
    case .float32(let tensor): try tensor.withStoredBytes(body)
    case .int64(let tensor): try tensor.withStoredBytes(body)
    case .bool(let tensor): try tensor.withStoredBytes(body)
    }
  }
}
