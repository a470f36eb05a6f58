#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The environment variables that Keel reads: once, here, and shown by `keel doctor`.
public struct KeelEnvironment: Sendable {
  /// The values at the first use in this process.
  public static let current = KeelEnvironment()

  /// The variables, each with what it does.
  public static let variables: [(name: String, meaning: String)] = [
    ("KEEL_THREADS", "threads that kernels use by default (1 to 1024)"),
    ("KEEL_VECTOR_LEVEL", "vector loops: baseline, avx2, avx512 or neon, at most what the CPU has"),
    ("KEEL_CACHE_DIR", "folder for measured choices"),
    ("KEEL_LOG_LEVEL", "log level: trace, debug, info, notice, warning, error or critical"),
  ]

  /// `KEEL_THREADS` as set, or nil.
  public let threads: String?
  /// `KEEL_VECTOR_LEVEL` as set, or nil.
  public let vectorLevel: String?
  /// `KEEL_CACHE_DIR` as set, or nil.
  public let cacheDirectory: String?
  /// `KEEL_LOG_LEVEL` as set, or nil.
  public let logLevel: String?

  private init() {
    func read(_ name: String) -> String? {
      guard let value = getenv(name) else { return nil }
      let text = String(cString: value)
      return text.isEmpty ? nil : text
    }
    threads = read("KEEL_THREADS")
    vectorLevel = read("KEEL_VECTOR_LEVEL")
    cacheDirectory = read("KEEL_CACHE_DIR")
    logLevel = read("KEEL_LOG_LEVEL")
  }

  /// A variable's value as set, by name.
  public func value(of name: String) -> String? {
    switch name {
    case "KEEL_THREADS": threads
    case "KEEL_VECTOR_LEVEL": vectorLevel
    case "KEEL_CACHE_DIR": cacheDirectory
    case "KEEL_LOG_LEVEL": logLevel
    default: nil
    }
  }
}
