internal import Foundation
public import KeelTensor

/// How many threads kernels use where the caller says nothing.
public enum ThreadCount {
  /// `KEEL_THREADS`, or the number of CPUs that this process may use: its affinity mask, cut to the
  /// cgroup's CPU quota, rounded down, at least 1.
  public static let automatic: Int = {
    if let wanted { return wanted }
    return max(1, min(ProcessInfo.processInfo.activeProcessorCount, quotaCount ?? .max))
  }()

  /// Why `KEEL_THREADS` was not followed, where it was not.
  public static let complaint: KeelError? = {
    guard let text = KeelEnvironment.current.threads, wanted == nil else { return nil }
    return KeelError(
      .argument, at: "KEEL_THREADS", expected: "a whole number from 1 to \(largest)", found: text)
  }()

  /// More threads than any machine has are taken for a mistake: each has scratch memory.
  private static let largest = 1024

  private static var wanted: Int? {
    KeelEnvironment.current.threads.flatMap(Int.init).flatMap {
      (1...largest).contains($0) ? $0 : nil
    }
  }

  /// The cgroup's quota in whole CPUs.
  private static var quotaCount: Int? {
    ControlGroup.current.processorQuota.map { max(1, Int(min($0, Double(largest)))) }
  }
}
