internal import Foundation

/// The kernel's own files, in /proc and /sys.
package enum SystemFile {
  /// A file's text, or nil where there is none. Read until nothing more comes: such files have no size and give a
  /// page at a time, of which Foundation's own readers take the first only.
  package static func text(of path: String) -> String? {
    guard let file = FileHandle(forReadingAtPath: path) else { return nil }
    var data = Data()
    do {
      while let part = try file.read(upToCount: 65536), !part.isEmpty { data += part }
    } catch {
      return nil
    }
    return String(decoding: data, as: UTF8.self)
  }
}
