internal import Foundation
internal import KeelKernels
internal import KeelTensor

/// How much memory plans may take where the caller says nothing.
public enum MemoryLimit {
  /// The bytes of the machine's memory, or what the process's cgroups leave it of that.
  public static let automatic: Int = {
    let machine = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    return min(machine, ControlGroup.current.memoryLimit ?? .max)
  }()
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
