internal import Foundation
internal import KeelTensor

/// How much memory plans may take where the caller says nothing.
public enum MemoryLimit {
  /// The bytes of the machine's memory, or of what the process's cgroup leaves it.
  public static let automatic: Int = {
    let machine = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    return min(machine, cgroupLimit() ?? .max)
  }()

  /// The limit of cgroup v2 (a number, or "max") or v1.
  private static func cgroupLimit() -> Int? {
    for path in ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"] {
      let text = try? String(contentsOfFile: path, encoding: .utf8)
      if let text, let limit = Int(text.trimmingCharacters(in: .whitespacesAndNewlines)), limit > 0
      {
        return limit
      }
    }
    return nil
  }
}

extension PlanOptions {
  /// Throws for a plan that would take more than the limit.
  internal func check(workspace: Int, weights: Int) throws(KeelError) {
    let limit = memoryLimit ?? MemoryLimit.automatic
    let (sum, overflows) = workspace.addingReportingOverflow(weights)
    guard overflows || sum > limit else { return }
    throw KeelError(
      .memory, at: "plan", expected: "at most \(limit) bytes",
      found: "\(workspace) of a workspace and \(weights) of packed weights")
  }
}
