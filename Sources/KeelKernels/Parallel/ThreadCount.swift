internal import Foundation
internal import KeelTensor

/// How many threads kernels use where the caller says nothing.
public enum ThreadCount {
  /// `KEEL_THREADS`, or the number of CPUs that this process may use: its affinity mask, cut to the
  /// cgroup's CPU quota, rounded down, at least 1.
  public static let automatic: Int = {
    if let text = KeelEnvironment.current.threads, let count = Int(text), count >= 1 {
      return count
    }
    return max(1, min(ProcessInfo.processInfo.activeProcessorCount, quotaCount() ?? .max))
  }()

  /// The quota of cgroup v2 (`cpu.max`: "quota period" or "max period") or v1, in whole CPUs.
  private static func quotaCount() -> Int? {
    func words(_ path: String) -> [Double?]? {
      guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
      return text.split(whereSeparator: \.isWhitespace).map { Double($0) }
    }
    if let line = words("/sys/fs/cgroup/cpu.max"), line.count == 2, let quota = line[0],
      let period = line[1], period > 0
    {
      return max(1, Int(quota / period))
    }
    if let quota = words("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")?.first ?? nil, quota > 0,
      let period = words("/sys/fs/cgroup/cpu/cpu.cfs_period_us")?.first ?? nil, period > 0
    {
      return max(1, Int(quota / period))
    }
    return nil
  }
}
