public import KeelTensor

/// Reads and writes arrays in NumPy's npy format.
///
/// Versions 1.0 to 3.0, in either byte order, C or Fortran order, any number of axes, also none: f2, f4 and f8 are
/// read as float32 (f8 is rounded), integers of all sizes as int64, b1 as bool. Headers are parsed, never
/// evaluated; arrays of objects, records, complex numbers and texts are refused. Memory: the file and one copy, of
/// eight times its size for 1-byte integers, two for arrays in Fortran order.
public enum NumPyFile {
  /// Reads an array.
  /// - Throws: `KeelError` of kind `file` for a file that is not one; of kind `value` for integers beyond int64 and
  ///   truth values that are neither 0 nor 1.
  public static func read(_ path: String) throws(KeelError) -> TensorValue {
    try read(FileBytes(mapping: path))
  }

  package static func read(_ file: FileBytes) throws(KeelError) -> TensorValue {
    try file.withBytes { (bytes) throws(KeelError) in try read(bytes, place: file.path) }
  }

  internal static func read(
    _ bytes: UnsafeRawBufferPointer, place: String
  ) throws(KeelError) -> TensorValue {
    let header = try NumPyHeader(bytes, place: place)
    let available = bytes.count - header.dataStart
    guard let size = header.element.byteCount(of: header.shape.extents), size == available,
      let data = bytes.part(from: header.dataStart, count: size)
    else {
      throw KeelError(
        .file, at: "\(place): elements", expected: "those of shape \(header.shape)",
        found: "\(available) bytes")
    }
    guard header.isFortran, header.shape.rank > 1 else {
      return try header.element.read(
        data, bigEndian: header.isBigEndian, shape: header.shape, at: place)
    }
    let reversed = Shape(header.shape.extents.reversed())
    let value = try header.element.read(
      data, bigEndian: header.isBigEndian, shape: reversed, at: place)
    switch value {
    case .float32(let array): return .float32(array.axesReversed())
    case .int64(let array): return .int64(array.axesReversed())
    case .bool(let array): return .bool(array.axesReversed())
    }
  }

  /// Writes an array as NumPy does: version 1.0, C order, f4, i8 or b1, elements aligned to 64 bytes. An old file
  /// of that name stays whole until the new one is.
  /// - Throws: `KeelError` of kind `file` where the file cannot be written; of kind `shape` for more than 64 axes,
  ///   which NumPy does not have.
  public static func write(_ value: TensorValue, to path: String) throws(KeelError) {
    let header = try header(of: value, at: path)
    try AtomicFile.write(to: path) { (file) throws(KeelError) in
      try file.append(header)
      try value.withStoredBytes { (bytes) throws(KeelError) in try file.append(bytes) }
    }
  }

  /// What stands before the elements of an array.
  internal static func header(
    of value: TensorValue, at place: String
  ) throws(KeelError) -> [UInt8] {
    let extents = value.shape.extents
    guard extents.count <= 64 else {
      throw KeelError(.shape, at: place, expected: "at most 64 axes", found: "\(extents.count)")
    }
    let descr =
      switch value.elementType {
      case .float32: "<f4"
      case .int64: "<i8"
      case .bool: "|b1"
      }
    let tuple = extents.map(String.init).joined(separator: ", ")
    var text =
      "{'descr': '\(descr)', 'fortran_order': False, "
      + "'shape': (\(extents.count == 1 ? tuple + "," : tuple)), }"
    // NumPy leaves room for the first extent to grow to 21 digits.
    if let first = extents.first {
      text += String(repeating: " ", count: 21 - String(first).utf8.count)
    }
    let used = NumPyHeader.magic.count + 4 + text.utf8.count + 1
    text += String(repeating: " ", count: 64 - used % 64) + "\n"
    return NumPyHeader.magic + [1, 0] + littleEndianBytes(UInt16(text.utf8.count)) + text.utf8
  }
}

extension DenseArray {
  /// The same elements under indices in the opposite order.
  fileprivate func axesReversed() -> DenseArray {
    let extents = Array(shape.extents.reversed())
    // How far apart in this array the elements are that are neighbours along an axis of the result.
    var strides = [Int](repeating: 1, count: extents.count)
    for axis in extents.indices.dropFirst() {
      strides[axis] = strides[axis - 1] * max(extents[axis - 1], 1)
    }
    return DenseArray(uninitialized: Shape(extents)) { out in
      var index = [Int](repeating: 0, count: extents.count)
      var source = 0
      for i in 0..<out.count {
        out[i] = unsafeBase[source]
        for axis in extents.indices.reversed() {
          index[axis] += 1
          source += strides[axis]
          if index[axis] < extents[axis] { break }
          source -= strides[axis] * extents[axis]
          index[axis] = 0
        }
      }
      withExtendedLifetime(self) {}
    }
  }
}
