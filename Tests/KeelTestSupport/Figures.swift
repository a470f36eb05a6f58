import Foundation

/// Figures from elsewhere, in `Tests/Figures`; the scripts that made them are in `Scripts/golden`.
public enum Figures {
  /// The contents of a file.
  public static func data(_ name: String, from file: String = #filePath) throws -> Data {
    let tests = URL(fileURLWithPath: file).deletingLastPathComponent().deletingLastPathComponent()
    return try Data(contentsOf: tests.appendingPathComponent("Figures/\(name)"))
  }
}
