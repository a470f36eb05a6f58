internal import CKeelLoops
public import KeelTensor

/// The vector loops in use: the highest level that the CPU has, or what `KEEL_VECTOR_LEVEL` pins.
public struct VectorLevel: Sendable, CustomStringConvertible {
  /// The level's name: `baseline`, `avx2`, `avx512`, or `neon`.
  public let name: String
  internal let index: Int32

  /// The level's name.
  public var description: String { name }

  /// The levels that this CPU and operating system support, lowest first.
  public static let supported: [VectorLevel] = (0...keel_supported_level()).map {
    VectorLevel(name: String(cString: keel_loops($0).pointee.name), index: $0)
  }

  /// The level in use.
  public static let current: VectorLevel = choice.level

  /// Why `KEEL_VECTOR_LEVEL` was not followed, where it was not.
  public static let complaint: KeelError? = choice.complaint

  private static let choice: (level: VectorLevel, complaint: KeelError?) = {
    let best = supported[supported.count - 1]
    guard let wanted = KeelEnvironment.current.vectorLevel else { return (best, nil) }
    if let level = supported.first(where: { $0.name == wanted.lowercased() }) {
      return (level, nil)
    }
    return (
      best,
      KeelError(
        .argument, at: "KEEL_VECTOR_LEVEL",
        expected: "one of \(supported.map(\.name).joined(separator: ", "))", found: wanted)
    )
  }()
}

/// The table of leaf loops in use.
///
/// Unsafe only to the compiler: a C struct of function pointers, filled before it is read, written never.
nonisolated(unsafe) internal let loops: KeelLoops = keel_loops(VectorLevel.current.index).pointee
