import KeelTensor

/// Damages files at random, from a seed: bits turned, bytes and integers overwritten by values that readers get
/// wrong, numbers in text replaced, parts removed, repeated, put elsewhere or taken from other files, ends cut off.
public struct Mutations {
  private let original: [UInt8]
  private let others: [[UInt8]]
  private var random: RandomSource

  /// Starts from a whole file.
  /// - Parameter others: files whose ends may take the place of this one's.
  public init(of bytes: [UInt8], others: [[UInt8]] = [], seed: UInt64) {
    original = bytes
    self.others = others
    random = RandomSource(seed: seed)
  }

  /// The file with one to three damages.
  public mutating func next() -> [UInt8] {
    var bytes = original
    for _ in 0...random.below(3) { damage(&bytes) }
    return bytes
  }

  private mutating func damage(_ bytes: inout [UInt8]) {
    guard !bytes.isEmpty else { return }
    let at = random.below(bytes.count)
    let length = min(1 + random.below(16), bytes.count - at)
    switch random.below(10) {
    case 0: bytes[at] ^= 1 << UInt8(random.below(8))
    case 1: bytes[at] = [0, 1, 0x7F, 0x80, 0xFF, 0x22, 0x30, 0x39, 0x7B][random.below(9)]
    case 2: bytes.removeSubrange(at...)
    case 3: bytes.removeSubrange(at..<at + length)
    case 4: bytes.insert(contentsOf: bytes[at..<at + length], at: random.below(bytes.count))
    case 5: bytes.insert(contentsOf: (0..<length).map { _ in UInt8(random.below(256)) }, at: at)
    case 6: replaceNumber(&bytes, near: at)
    case 7: splice(&bytes, at: at)
    default: replaceInteger(&bytes, at: at)
    }
  }

  /// Overwrites an integer of 1 to 8 bytes, in either order.
  private mutating func replaceInteger(_ bytes: inout [UInt8], at start: Int) {
    let values: [UInt64] = [
      0, 1, 1 << 15, 1 << 16 - 1, 1 << 16, 1 << 31, 1 << 32 - 1, 1 << 32, 1 << 62, 1 << 63, .max,
      .max - 7, UInt64(bytes.count), UInt64(bytes.count + 1),
    ]
    let value = values[random.below(values.count)]
    let size = 1 << random.below(4)
    let isBig = random.below(2) == 1
    for (i, position) in (start..<min(start + size, bytes.count)).enumerated() {
      bytes[position] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (isBig ? size - 1 - i : i)))
    }
  }

  /// Replaces the digits at a position or after it, by as many others or by a number of any length.
  private mutating func replaceNumber(_ bytes: inout [UInt8], near position: Int) {
    let isDigit: (UInt8) -> Bool = { (0x30...0x39).contains($0) }
    guard let start = bytes[position...].firstIndex(where: isDigit) else { return }
    let end = bytes[start...].firstIndex { !isDigit($0) } ?? bytes.count
    if random.below(2) == 0 {
      for i in start..<end { bytes[i] = 0x30 + UInt8(random.below(10)) }
      return
    }
    let values = [
      "0", "1", "-1", "2", "7", "00", "65536", "2147483647", "4294967296", "4611686018427387904",
      "9223372036854775807", "18446744073709551616", "1e9", "",
    ]
    bytes.replaceSubrange(start..<end, with: Array(values[random.below(values.count)].utf8))
  }

  /// The beginning of this file and the end of another, or of itself.
  private mutating func splice(_ bytes: inout [UInt8], at position: Int) {
    let other = others.isEmpty ? original : others[random.below(others.count)]
    guard !other.isEmpty else { return }
    bytes.replaceSubrange(position..., with: other[random.below(other.count)...])
  }
}
