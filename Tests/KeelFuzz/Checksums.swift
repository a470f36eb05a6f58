import KeelFormats
import KeelTensor
import KeelZlib

/// Makes the checksums of damaged files right, so that readers look at what is damaged.
enum Checksums {
  /// A PNG file whose chunks have the checksums of their bytes, as far as there are chunks.
  static func repairedPNG(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    var at = 8
    while at + 12 <= bytes.count {
      let length = Int(big(bytes, at: at))
      guard at + 12 + length <= bytes.count else { break }
      let sum = checksum(of: Array(bytes[at + 4..<at + 8 + length]))
      for i in 0..<4 { bytes[at + 8 + length + i] = UInt8(truncatingIfNeeded: sum >> (24 - 8 * i)) }
      at += 12 + length
    }
    return bytes
  }

  /// A zip file whose stored members have the checksums of their bytes, in their headers and in the directory.
  static func repairedZip(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    guard bytes.count >= 46 else { return bytes }
    var sums: [Int: UInt32] = [:]
    for at in 0...bytes.count - 46 where bytes[at] == 0x50 && bytes[at + 1] == 0x4B {
      switch (bytes[at + 2], bytes[at + 3]) {
      case (3, 4) where little(bytes, at: at + 8, 2) == 0:
        let start = at + 30 + little(bytes, at: at + 26, 2) + little(bytes, at: at + 28, 2)
        let size = little(bytes, at: at + 18, 4)
        guard start + size <= bytes.count else { continue }
        let sum = checksum(of: Array(bytes[start..<start + size]))
        sums[at] = sum
        put(sum, in: &bytes, at: at + 14)
      case (1, 2):
        if let sum = sums[little(bytes, at: at + 42, 4)] { put(sum, in: &bytes, at: at + 16) }
      default: break
      }
    }
    return bytes
  }

  /// Bytes as gzip packs them: zlib's between another header and another checksum.
  static func gzip(_ bytes: [UInt8]) -> [UInt8] {
    var size = compressBound(UInt(bytes.count))
    var packed = [UInt8](repeating: 0, count: Int(size))
    compress2(&packed, &size, bytes, UInt(bytes.count), 9)
    var end = [UInt8](repeating: 0, count: 8)
    put(checksum(of: bytes), in: &end, at: 0)
    put(UInt32(truncatingIfNeeded: bytes.count), in: &end, at: 4)
    return [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3] + packed[2..<Int(size) - 4] + end
  }

  private static func checksum(of bytes: [UInt8]) -> UInt32 {
    bytes.withUnsafeBytes { KeelFormats.checksum($0) }
  }

  private static func big(_ bytes: [UInt8], at start: Int) -> UInt32 {
    bytes[start..<start + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }

  private static func little(_ bytes: [UInt8], at start: Int, _ size: Int) -> Int {
    bytes[start..<start + size].reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  private static func put(_ value: UInt32, in bytes: inout [UInt8], at start: Int) {
    for i in 0..<4 { bytes[start + i] = UInt8(truncatingIfNeeded: value >> (8 * i)) }
  }
}
