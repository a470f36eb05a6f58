package import KeelTensor

/// The element types that files have, of which graph values have three: floating point of any width is read as
/// float32, integers as int64.
package enum StoredElement: Hashable, Sendable {
  case bool
  case uint8, uint16, uint32, uint64
  case int8, int16, int32, int64
  case float16, bfloat16, float32, float64

  /// The bytes of an element.
  package var size: Int {
    switch self {
    case .bool, .uint8, .int8: 1
    case .uint16, .int16, .float16, .bfloat16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64: 8
    }
  }

  /// The bytes of a shape; nil where an extent is negative, or the product of the extents, with 1 for 0, is
  /// more than memory can be addressed by.
  func byteCount(of extents: [Int]) -> Int? {
    var product = 8
    for extent in extents {
      guard extent >= 0 else { return nil }
      let (next, overflow) = product.multipliedReportingOverflow(by: max(extent, 1))
      guard !overflow else { return nil }
      product = next
    }
    return extents.contains(0) ? 0 : product / 8 * size
  }

  /// Reads elements in row-major order. float64 is rounded to the nearest float32, infinite beyond its range.
  /// - Throws: `KeelError` of kind `value` for a uint64 beyond int64 and a truth value that is neither 0 nor 1.
  /// - Precondition: there are as many bytes as the shape has.
  package func read(
    _ bytes: UnsafeRawBufferPointer, bigEndian: Bool = false, shape: Shape, at place: String
  ) throws(KeelError) -> TensorValue {
    precondition(bytes.count == shape.elementCount * size, "expected the bytes of \(shape)")
    let reader = ElementReader(bytes: bytes, shape: shape, isBig: bigEndian)
    switch self {
    case .bool:
      if let wrong = bytes.first(where: { $0 > 1 }) {
        throw KeelError(.value, at: place, expected: "0 or 1 as truth values", found: "\(wrong)")
      }
      return .bool(reader.array(of: UInt8.self) { $0 != 0 })
    case .uint8: return .int64(reader.array(of: UInt8.self) { Int64($0) })
    case .uint16: return .int64(reader.array(of: UInt16.self) { Int64($0) })
    case .uint32: return .int64(reader.array(of: UInt32.self) { Int64($0) })
    case .uint64:
      let read = reader.array(of: UInt64.self) { Int64(bitPattern: $0) }
      if let wrong = read.elements.first(where: { $0 < 0 }) {
        throw KeelError(
          .value, at: place, expected: "integers up to \(Int64.max)",
          found: "\(UInt64(bitPattern: wrong))")
      }
      return .int64(read)
    case .int8: return .int64(reader.array(of: UInt8.self) { Int64(Int8(bitPattern: $0)) })
    case .int16: return .int64(reader.array(of: UInt16.self) { Int64(Int16(bitPattern: $0)) })
    case .int32: return .int64(reader.array(of: UInt32.self) { Int64(Int32(bitPattern: $0)) })
    case .int64: return .int64(reader.array(of: UInt64.self) { Int64(bitPattern: $0) })
    case .float16: return .float32(reader.array(of: UInt16.self, Float.init(half:)))
    case .bfloat16: return .float32(reader.array(of: UInt16.self, Float.init(bfloat16:)))
    case .float32: return .float32(reader.array(of: UInt32.self) { Float(bitPattern: $0) })
    case .float64:
      return .float32(reader.array(of: UInt64.self) { Float(Double(bitPattern: $0)) })
    }
  }
}

extension Float {
  /// The value of a float16, exactly.
  @inline(__always)
  package init(half bits: UInt16) {
    // Exponent and fraction in float32's places: too small by the difference of the biases, 112.
    let magnitude = UInt32(bits & 0x7FFF) << 13
    let value =
      magnitude < 0x0F80_0000
      ? Float(bitPattern: magnitude) * 0x1p112 : Float(bitPattern: magnitude | 0x7F80_0000)
    self = bits & 0x8000 == 0 ? value : -value
  }

  /// The value of a bfloat16, exactly: its bits are the upper half of a Float's.
  @inline(__always)
  package init(bfloat16 bits: UInt16) { self.init(bitPattern: UInt32(bits) << 16) }
}

/// Bytes that are the elements of a shape.
private struct ElementReader {
  let bytes: UnsafeRawBufferPointer
  let shape: Shape
  let isBig: Bool

  @inline(__always)
  func array<Bits: FixedWidthInteger & BitwiseCopyable, Element: ArrayElement>(
    of _: Bits.Type, _ element: (Bits) -> Element
  ) -> DenseArray<Element> {
    DenseArray(uninitialized: shape) { out in
      guard let base = bytes.baseAddress else { return }
      // Two loops, so that the usual one is a copy.
      if isBig {
        for i in 0..<out.count {
          let bits = base.loadUnaligned(
            fromByteOffset: i * MemoryLayout<Bits>.size, as: Bits.self)
          out[i] = element(Bits(bigEndian: bits))
        }
      } else {
        for i in 0..<out.count {
          let bits = base.loadUnaligned(
            fromByteOffset: i * MemoryLayout<Bits>.size, as: Bits.self)
          out[i] = element(Bits(littleEndian: bits))
        }
      }
    }
  }
}
