import KeelFormats
import KeelTensor
import KeelZlib

/// Makes PNG files of any colour type from rows of bytes, by the PNG specification, third edition.
struct PNGBuilder {
  var width: Int
  var height: Int
  var bitDepth: UInt8
  /// 0 grey, 2 colour, 3 palette, 4 grey with alpha, 6 colour with alpha.
  var colorType: UInt8
  /// The rows one after the other, each packed into whole bytes.
  var rows: [UInt8]
  /// Chunks between header and pixels.
  var chunks: [(type: String, data: [UInt8])] = []

  /// The file.
  var file: [UInt8] {
    let header = Self.big(width) + Self.big(height) + [bitDepth, colorType, 0, 0, 0]
    let rowSize = rows.count / height
    let filtered = (0..<height).flatMap { [0] + rows[$0 * rowSize..<($0 + 1) * rowSize] }
    var result: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    let all = [("IHDR", header)] + chunks + [("IDAT", Self.packed(filtered)), ("IEND", [])]
    for (type, data) in all { result += Self.chunk(type, data) }
    return result
  }

  /// A chunk with its checksum.
  static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
    let body = Array(type.utf8) + data
    let sum = (try? body.withBytes { (bytes) throws(KeelError) in checksum(bytes) }) ?? 0
    return big(data.count) + body + big(Int(sum))
  }

  /// The lower 32 bits of a number, the highest byte first.
  static func big(_ value: Int) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
  }

  /// Bytes as zlib packs them.
  static func packed(_ bytes: [UInt8]) -> [UInt8] {
    var size = compressBound(UInt(bytes.count))
    var result = [UInt8](repeating: 0, count: Int(size))
    compress2(&result, &size, bytes, UInt(bytes.count), 9)
    return Array(result.prefix(Int(size)))
  }
}
