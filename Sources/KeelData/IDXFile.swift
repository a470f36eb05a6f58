internal import KeelFormats
internal import KeelTensor

/// A file of bytes in the IDX format of MNIST, plain or packed by gzip: two zeros, 8 for bytes, the number of axes,
/// the extents as big-endian 32-bit integers, the elements in row-major order.
internal struct IDXFile {
  let shape: Shape
  /// The bytes of the header.
  let headerSize: Int
  /// The header and the elements, unpacked.
  private let contents: Contents

  private enum Contents {
    case file(FileBytes)
    case unpacked([UInt8])
  }

  /// Opens a file of so many axes.
  /// - Throws: `KeelError` of kind `file`.
  init(_ file: FileBytes, rank: Int) throws(KeelError) {
    let path = file.path
    let headerSize = 4 + 4 * rank
    let (shape, size, unpacked) = try file.withBytes {
      (bytes) throws(KeelError) -> (Shape, Int, [UInt8]?) in
      guard bytes.starts(with: [0x1F, 0x8B]) else {
        let (shape, size) = try Self.header(bytes, rank: rank, path: path)
        return (shape, size, nil)
      }
      let start = try Inflation.prefix(bytes, count: headerSize, form: .gzip, at: path)
      let (shape, size) = try start.withBytes { (bytes) throws(KeelError) in
        try Self.header(bytes, rank: rank, path: path)
      }
      return (shape, size, try Inflation.bytes(bytes, count: size, form: .gzip, at: path))
    }
    let found = unpacked?.count ?? file.count
    guard found == size else {
      throw KeelError(
        .file, at: path, expected: "\(size) bytes for shape \(shape)", found: "\(found)")
    }
    self.shape = shape
    self.headerSize = headerSize
    contents = unpacked.map(Contents.unpacked) ?? .file(file)
  }

  /// Reads the beginning of a file: the shape, and the bytes that the file must have.
  private static func header(
    _ bytes: UnsafeRawBufferPointer, rank: Int, path: String
  ) throws(KeelError) -> (Shape, Int) {
    guard bytes.count >= 4 + 4 * rank else {
      throw KeelError(
        .file, at: path, expected: "an IDX file of \(rank) axes",
        found: "\(bytes.count) bytes")
    }
    let magic = Array(bytes[0..<4])
    guard magic == [0, 0, 8, UInt8(rank)] else {
      throw KeelError(
        .file, at: "\(path): magic number",
        expected: "0, 0, 8, \(rank): an IDX file of bytes with \(rank) axes",
        found: magic.map(String.init).joined(separator: ", "))
    }
    var size = 4 + 4 * rank
    var count = 1
    var extents: [Int] = []
    for axis in 0..<rank {
      let extent = Int(bytes.integer(UInt32.self, at: 4 + 4 * axis)!.byteSwapped)
      let (product, overflow) = count.multipliedReportingOverflow(by: max(extent, 1))
      // Elements become Floats.
      guard !overflow, product <= .max / 8 else {
        throw KeelError(
          .file, at: "\(path): extents", expected: "those of a file", found: "\(extents), \(extent)"
        )
      }
      count = product
      extents.append(extent)
    }
    if !extents.contains(0) { size += count }
    return (Shape(extents), size)
  }

  /// Calls a closure with the elements.
  func withElements<Value>(
    _ body: (UnsafeRawBufferPointer) throws(KeelError) -> Value
  ) throws(KeelError) -> Value {
    func elements(_ bytes: UnsafeRawBufferPointer) throws(KeelError) -> Value {
      try body(UnsafeRawBufferPointer(rebasing: bytes[headerSize...]))
    }
    switch contents {
    case .file(let file): return try file.withBytes(elements)
    case .unpacked(let bytes): return try bytes.withBytes(elements)
    }
  }
}
