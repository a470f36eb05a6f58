import Foundation
internal import KeelFormats
import KeelGraph
import KeelTensor

extension HostTensor {
  /// Decodes a tensor of a model.
  ///
  /// - Parameter elements: the tensor's raw data, where they are not in the message.
  /// - Throws: `KeelError` of kind `file` for an element type that is not known, negative or overflowing
  ///   extents, and data of another length than they say.
  package init(
    decoding proto: ONNXTensorProto, elements: UnsafeRawBufferPointer? = nil,
    outside: ExternalData, at place: String
  ) throws(KeelError) {
    let type = try ONNXElementType(number: proto.dataType, at: place)
    guard proto.dims.count <= Self.largestRank else {
      throw KeelError(
        .file, at: place, expected: "at most \(Self.largestRank) axes", found: "\(proto.dims.count)"
      )
    }
    var count = 1
    for dim in proto.dims {
      // As if none were 0, so that the product of some of them does not overflow either.
      let (product, overflow) = count.multipliedReportingOverflow(by: max(1, Int(dim)))
      guard dim >= 0, !overflow, product <= Int(Int32.max) * 8 else {
        throw KeelError(
          .file, at: place, expected: "extents from 0 whose product is below 2³⁴",
          found: "\(proto.dims)")
      }
      count = product
    }
    let extents = proto.dims.map { Int($0) }
    if extents.contains(0) { count = 0 }
    if proto.dataLocation == 1 {
      self = try outside.withBytes(of: proto, at: place) { bytes throws(KeelError) in
        try HostTensor(bytes: bytes, type, count, extents, place)
      }
    } else if let elements {
      try self.init(bytes: elements, type, count, extents, place)
    } else if proto.hasRawData {
      self = try proto.rawData.withUnsafeBytes { bytes in
        Result<HostTensor, KeelError> { () throws(KeelError) in
          try HostTensor(bytes: bytes, type, count, extents, place)
        }
      }.get()
    } else {
      try self.init(fieldsOf: proto, type, count, extents, place)
    }
  }

  private init(
    bytes: UnsafeRawBufferPointer, _ type: ONNXElementType, _ count: Int, _ extents: [Int],
    _ place: String
  ) throws(KeelError) {
    guard bytes.count == count * type.stored.size else {
      throw KeelError(
        .file, at: place,
        expected: "\(count * type.stored.size) bytes for \(Shape(extents)) of \(type)",
        found: "\(bytes.count)")
    }
    switch type {
    case .float32, .float64, .float16, .bfloat16:
      let value = try type.stored.read(bytes, shape: Shape(extents), at: place)
      self.init(try value.floats(at: place))
    case .bool: self.init(booleans: bytes.map { $0 != 0 }, extents)
    case .uint8: self.init(integers: bytes.map { .fixed(Int($0)) }, extents)
    case .int8: self.init(integers: Self.integers(bytes, Int8.self), extents)
    case .uint16: self.init(integers: Self.integers(bytes, UInt16.self), extents)
    case .int16: self.init(integers: Self.integers(bytes, Int16.self), extents)
    case .int32: self.init(integers: Self.integers(bytes, Int32.self), extents)
    case .uint32: self.init(integers: Self.integers(bytes, UInt32.self), extents)
    case .int64: self.init(integers: Self.integers(bytes, Int64.self), extents)
    case .uint64: self.init(integers: Self.integers(bytes, UInt64.self), extents)
    }
  }

  private static func integers<Value: FixedWidthInteger & BitwiseCopyable>(
    _ bytes: UnsafeRawBufferPointer, _: Value.Type
  ) -> [Extent] {
    (0..<bytes.count / MemoryLayout<Value>.size).map { i in
      let value = bytes.loadUnaligned(
        fromByteOffset: i * MemoryLayout<Value>.size, as: Value.self)
      // Keel's integers are signed: larger ones keep their bits, as a cast does.
      return .fixed(Int(truncatingIfNeeded: Value(littleEndian: value)))
    }
  }

  private init(
    fieldsOf proto: ONNXTensorProto, _ type: ONNXElementType, _ count: Int, _ extents: [Int],
    _ place: String
  ) throws(KeelError) {
    func check(_ found: Int) throws(KeelError) {
      guard found == count else {
        throw KeelError(
          .file, at: place, expected: "\(count) elements for \(Shape(extents))", found: "\(found)")
      }
    }
    func tensor(_ found: Int, _ element: (Int) -> Float) throws(KeelError) -> Tensor {
      try check(found)
      return Tensor(uninitialized: Shape(extents)) { out in
        for i in out.indices { out[i] = element(i) }
      }
    }
    let words = proto.int32Data
    switch type {
    case .float32: self.init(try tensor(proto.floatData.count) { proto.floatData[$0] })
    case .float64: self.init(try tensor(proto.doubleData.count) { Float(proto.doubleData[$0]) })
    case .float16:
      self.init(
        try tensor(words.count) { Float(half: UInt16(truncatingIfNeeded: words[$0])) })
    case .bfloat16:
      self.init(
        try tensor(words.count) { Float(bfloat16: UInt16(truncatingIfNeeded: words[$0])) })
    case .bool:
      try check(words.count)
      self.init(booleans: words.map { $0 != 0 }, extents)
    case .uint8, .int8, .uint16, .int16, .int32:
      try check(words.count)
      self.init(integers: words.map { .fixed(Int($0)) }, extents)
    case .int64:
      try check(proto.int64Data.count)
      self.init(integers: proto.int64Data.map { .fixed(Int($0)) }, extents)
    case .uint32, .uint64:
      try check(proto.uint64Data.count)
      self.init(
        integers: proto.uint64Data.map { .fixed(Int(truncatingIfNeeded: $0)) }, extents)
    }
  }
}
