import KeelTensor

/// The element types of ONNX tensors that Keel reads, under ONNX's numbers, and what they become.
///
/// Floating point of any width becomes float32, integers of any width int64: Keel's graphs have no others.
package enum ONNXElementType: Int32, CaseIterable, Sendable {
  case float32 = 1
  case uint8 = 2
  case int8 = 3
  case uint16 = 4
  case int16 = 5
  case int32 = 6
  case int64 = 7
  case bool = 9
  case float16 = 10
  case float64 = 11
  case uint32 = 12
  case uint64 = 13
  case bfloat16 = 16

  /// The bytes of an element in raw data.
  var byteCount: Int {
    switch self {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16, .float16, .bfloat16: 2
    case .float32, .int32, .uint32: 4
    case .float64, .int64, .uint64: 8
    }
  }

  /// What the elements become.
  var elementType: ElementType {
    switch self {
    case .float32, .float16, .bfloat16, .float64: .float32
    case .uint8, .int8, .uint16, .int16, .int32, .int64, .uint32, .uint64: .int64
    case .bool: .bool
    }
  }

  /// The type of a number in a file.
  /// - Throws: `KeelError` of kind `file` for a number that is none of these.
  init(number: Int32, at place: String) throws(KeelError) {
    guard let type = ONNXElementType(rawValue: number) else {
      throw KeelError(
        .file, at: place,
        expected: "elements of floating point, integers or truth values",
        found: "ONNX element type \(number)")
    }
    self = type
  }
}

extension Float {
  /// The value of IEEE 754 half precision bits. `Float16` is not on every platform.
  init(halfBits bits: UInt16) {
    let sign: Float = bits & 0x8000 == 0 ? 1 : -1
    let exponent = Int(bits >> 10 & 0x1F)
    let fraction = Float(bits & 0x3FF)
    switch exponent {
    case 0: self = sign * fraction * 0x1p-24
    case 31: self = fraction == 0 ? sign * .infinity : .nan
    default:
      self =
        sign * (1 + fraction * 0x1p-10)
        * Float(sign: .plus, exponent: exponent - 15, significand: 1)
    }
  }

  /// The value of bfloat16 bits: the upper half of a Float's.
  init(bfloat16Bits bits: UInt16) { self.init(bitPattern: UInt32(bits) << 16) }
}
