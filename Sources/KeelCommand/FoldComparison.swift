import Keel

/// A graph for inference beside its folded form, ready to be timed: the same convolution code on both
/// sides, and the same memory plan.
struct FoldComparison {
  let unfused: (plan: Plan, workspace: Workspace)
  let fused: (plan: Plan, workspace: Workspace)

  /// Prepares both for one batch of an input `x`.
  init(_ graph: Graph, _ folded: Graph, input: Tensor, threads: Int) throws {
    func prepare(_ graph: Graph) throws -> (plan: Plan, workspace: Workspace) {
      let plan = try Plan(
        graph, inputShapes: ["x": input.shape], options: PlanOptions(threads: threads))
      let workspace = plan.makeWorkspace()
      try workspace.setInput("x", .float32(input))
      return (plan, workspace)
    }
    unfused = try prepare(graph)
    fused = try prepare(folded)
  }

  /// Times both in turn.
  func time(rounds: Int) throws -> PairedTiming {
    try PairedTiming(
      rounds: rounds, unfused: { try unfused.plan.run(unfused.workspace) },
      fused: { try fused.plan.run(fused.workspace) })
  }
}
