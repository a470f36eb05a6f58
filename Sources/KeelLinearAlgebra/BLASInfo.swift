internal import KeelCBLAS

/// What the linked OpenBLAS says about itself.
public enum BLASInfo {
  /// How OpenBLAS makes its own threads.
  public enum Parallelism: String, Hashable, Sendable {
    /// It makes none.
    case sequential
    /// By pthreads.
    case pthreads
    /// By OpenMP.
    case openMP
    /// A value that this version of Keel does not know.
    case unknown
  }

  /// The configuration string: version, options of the build, core, largest thread count.
  public static var configuration: String { String(cString: openblas_get_config()) }

  /// The version (`0.3.21`), or nil where the configuration does not start with it.
  public static var version: String? { version(inConfiguration: configuration) }

  /// The version in a configuration string such as `OpenBLAS 0.3.21 NO_LAPACKE …`.
  package static func version(inConfiguration text: String) -> String? {
    let words = text.split(separator: " ")
    guard words.count > 1, words[0] == "OpenBLAS", words[1].first?.isNumber == true else {
      return nil
    }
    return String(words[1])
  }

  /// The core whose kernels OpenBLAS chose, from the CPU or from `OPENBLAS_CORETYPE`.
  public static var coreName: String { String(cString: openblas_get_corename()) }

  /// How OpenBLAS makes its own threads.
  public static var parallelism: Parallelism {
    switch openblas_get_parallel() {
    case 0: .sequential
    case 1: .pthreads
    case 2: .openMP
    default: .unknown
    }
  }

  /// Whether products with m·n·k up to 10⁶ skip packing and locks (unless B is transposed).
  ///
  /// So in OpenBLAS's kernels for AVX-512 cores; kernels choose their blocks by this. Read once.
  public static let hasSmallMatrixPath = hasSmallMatrixPath(onCore: coreName)

  package static func hasSmallMatrixPath(onCore name: String) -> Bool {
    ["skylakex", "cooperlake", "sapphirerapids"].contains(name.lowercased())
  }
}
