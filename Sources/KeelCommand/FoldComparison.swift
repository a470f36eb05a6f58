import Foundation
import Keel

/// A graph for inference beside its folded form, ready to be timed: the same convolution code on both
/// sides, and the same memory plan.
struct FoldComparison {
  let unfused: (plan: Plan, workspace: Workspace)
  let fused: (plan: Plan, workspace: Workspace)

  /// Prepares both for one batch of an input `x`.
  /// - Throws: `KeelError` of kind `argument` for more than this machine's memory.
  init(_ graph: Graph, _ folded: Graph, shape: Shape, threads: Int) throws {
    let plans = try [graph, folded].map {
      try Plan($0, inputShapes: ["x": shape], options: PlanOptions(threads: threads))
    }
    let needed = plans.reduce(0) { $0 + $1.byteCount }
    guard UInt64(needed) < ProcessInfo.processInfo.physicalMemory else {
      throw KeelError(
        .argument, at: "batch of \(shape[0])",
        expected: "at most \(ProcessInfo.processInfo.physicalMemory >> 20) MiB to run it",
        found: "\(needed >> 20) MiB")
    }
    unfused = (plans[0], plans[0].makeWorkspace())
    fused = (plans[1], plans[1].makeWorkspace())
  }

  /// Gives both the same input.
  func setInput(_ input: Tensor) throws {
    for side in [unfused, fused] { try side.workspace.setInput("x", .float32(input)) }
  }

  /// Times both in turn.
  func time(rounds: Int) throws -> PairedTiming {
    try PairedTiming(
      rounds: rounds, unfused: { try unfused.plan.run(unfused.workspace) },
      fused: { try fused.plan.run(fused.workspace) })
  }
}
