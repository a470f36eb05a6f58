import Foundation
import Keel

/// What a reader needs to know about where figures come from.
public struct Machine: Encodable, Sendable {
  /// The processor's name.
  public let cpu: String
  /// Processors that this process may use.
  public let processors: Int
  /// Threads of Keel in this run.
  public let threads: Int
  /// The policy that sets the clock, or `unknown`, as in most virtual machines.
  public let governor: String
  /// The operating system.
  public let system: String
  /// OpenBLAS's version.
  public let blasVersion: String
  /// The core whose kernels OpenBLAS picked.
  public let blasCore: String
  /// `OPENBLAS_CORETYPE` as set, or `detected`: a core pinned below the CPU halves a GEMM's speed.
  public let blasCoreChoice: String
  /// OpenBLAS's build, in its own words.
  public let blasBuild: String
  /// Threads of the reference GEMM in this run.
  public let blasThreads: Int
  /// `release` or `debug`: figures of the latter say nothing.
  public let build: String

  /// Looks at this machine.
  public init(threads: Int, blasThreads: Int) {
    cpu = Processor.current.name
    processors = ProcessInfo.processInfo.activeProcessorCount
    self.threads = threads
    let path = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    governor = Self.text(of: path).split(separator: "\n").first.map(String.init) ?? "unknown"
    system = ProcessInfo.processInfo.operatingSystemVersionString
    blasVersion = BLASInfo.version ?? "unknown"
    blasCore = BLASInfo.coreName
    let pinned = ProcessInfo.processInfo.environment["OPENBLAS_CORETYPE"] ?? ""
    blasCoreChoice = pinned.isEmpty ? "detected" : "OPENBLAS_CORETYPE=\(pinned)"
    blasBuild = BLASInfo.configuration
    self.blasThreads = blasThreads
    #if DEBUG
      build = "debug"
    #else
      build = "release"
    #endif
  }

  /// A few lines for the head of a table.
  public var summary: String {
    """
    CPU       \(cpu), \(processors) processors, governor \(governor), \(system)
    OpenBLAS  \(blasVersion), core \(blasCore) (\(blasCoreChoice)), \(blasThreads) thread(s)
    Keel      \(threads) thread(s), \(build) build
    """
  }

  private static func text(of path: String) -> String {
    (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
  }
}
