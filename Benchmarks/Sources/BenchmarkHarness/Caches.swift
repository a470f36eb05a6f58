import Foundation

/// The caches of this machine, as the system names them.
public enum Caches {
  /// The bytes of the largest cache; 64 MiB where none is named.
  public static let lastLevelBytes = largest(upTo: .max) ?? 64 << 20
  /// The bytes of a core's second level; 1 MiB where none is named.
  public static let secondLevelBytes = largest(upTo: 2) ?? 1 << 20

  /// The bytes of the largest cache of a level, or of one below it.
  private static func largest(upTo level: Int) -> Int? {
    (0..<8).compactMap { index in
      guard let ofIndex = number(in: "level", of: index), ofIndex <= level else { return nil }
      return number(in: "size", of: index)
    }.max()
  }

  /// The number in a file about a cache; K and M count.
  private static func number(in file: String, of index: Int) -> Int? {
    let path = "/sys/devices/system/cpu/cpu0/cache/index\(index)/\(file)"
    guard let text = try? String(contentsOfFile: path, encoding: .utf8),
      let number = Int(text.prefix { $0.isNumber })
    else { return nil }
    return number * (text.contains("M") ? 1 << 20 : text.contains("K") ? 1 << 10 : 1)
  }
}
