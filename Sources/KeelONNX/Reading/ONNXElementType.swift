internal import KeelFormats
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

  /// The same type as files in general have it.
  var stored: StoredElement {
    switch self {
    case .float32: .float32
    case .uint8: .uint8
    case .int8: .int8
    case .uint16: .uint16
    case .int16: .int16
    case .int32: .int32
    case .int64: .int64
    case .bool: .bool
    case .float16: .float16
    case .float64: .float64
    case .uint32: .uint32
    case .uint64: .uint64
    case .bfloat16: .bfloat16
    }
  }

  /// What the elements become.
  var elementType: ElementType { stored.elementType }

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
