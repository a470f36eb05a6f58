import Foundation
import KeelTensor

/// Damages files at random, from a seed: bits turned, bytes and integers overwritten by values that readers get
/// wrong, parts removed, repeated or put elsewhere, ends cut off.
public struct Mutations {
  private let original: [UInt8]
  private var random: RandomSource

  /// Starts from a whole file.
  public init(of bytes: [UInt8], seed: UInt64) {
    original = bytes
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
    switch random.below(7) {
    case 0: bytes[at] ^= 1 << UInt8(random.below(8))
    case 1: bytes[at] = [0, 1, 0x7F, 0x80, 0xFF, 0x22, 0x30, 0x39, 0x7B][random.below(9)]
    case 2: bytes.removeSubrange(at...)
    case 3: bytes.removeSubrange(at..<at + length)
    case 4: bytes.insert(contentsOf: bytes[at..<at + length], at: random.below(bytes.count))
    case 5: bytes.insert(contentsOf: (0..<length).map { _ in UInt8(random.below(256)) }, at: at)
    default:
      let values: [UInt64] = [0, 1, 1 << 31, 1 << 32 - 1, 1 << 62, 1 << 63, .max, .max - 7]
      let value = values[random.below(values.count)]
      for (i, position) in (at..<min(at + 8, bytes.count)).enumerated() {
        bytes[position] = UInt8(truncatingIfNeeded: value >> UInt64(8 * i))
      }
    }
  }
}

/// A folder that is removed with the value.
public struct TemporaryFolder: ~Copyable {
  /// Its path.
  public let path: String

  /// Makes an empty one.
  public init() throws {
    let url = FileManager.default.temporaryDirectory.appending(path: "keel-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path()
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of a file in it.
  public func file(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes a file in it, in folders that are made, and gives its path.
  @discardableResult
  public func write(_ bytes: [UInt8], to name: String) throws -> String {
    let url = URL(filePath: file(name))
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url)
    return file(name)
  }

  /// The names in it, sorted.
  public var names: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
  }
}
