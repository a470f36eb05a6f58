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
  /// Whether the pixels come in the seven passes of Adam7; for grey of 8 bits.
  var isInterlaced = false
  /// Chunks between header and pixels.
  var chunks: [(type: String, data: [UInt8])] = []

  /// The file.
  var file: [UInt8] {
    let header =
      Self.big(width) + Self.big(height) + [bitDepth, colorType, 0, 0, isInterlaced ? 1 : 0]
    var result: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    let all =
      [("IHDR", header)] + chunks + [
        ("IDAT", Self.packed(isInterlaced ? passes : plain)), ("IEND", []),
      ]
    for (type, data) in all { result += Self.chunk(type, data) }
    return result
  }

  /// The rows, each behind the number of its filter: none.
  private var plain: [UInt8] {
    let rowSize = rows.count / height
    return (0..<height).flatMap { [0] + rows[$0 * rowSize..<($0 + 1) * rowSize] }
  }

  /// The rows of each pass likewise.
  private var passes: [UInt8] {
    let passes = [
      (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
      (0, 1, 1, 2),
    ]
    var result: [UInt8] = []
    for (left, top, across, down) in passes where left < width {
      for y in stride(from: top, to: height, by: down) {
        let row = stride(from: left, to: width, by: across).map { rows[y * width + $0] }
        result += [0] + row
      }
    }
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
