import Keel

/// A graph for inference beside its folded form, ready to be timed: the same convolution code on both
/// sides, and the same memory plan.
struct FoldComparison {
  let unfused: (plan: Plan, workspace: Workspace)
  let fused: (plan: Plan, workspace: Workspace)

  /// Prepares both for inputs of these shapes.
  /// - Throws: a message for shapes that do not fit, and for more than this machine's memory.
  init(_ graph: Graph, _ folded: Graph, shapes: [String: Shape], threads: Int) throws {
    let plans = try [graph, folded].map { try $0.plan(shapes, threads: threads) }
    unfused = (plans[0], plans[0].makeWorkspace())
    fused = (plans[1], plans[1].makeWorkspace())
  }

  /// Gives both the same inputs.
  func setInputs(_ inputs: [String: TensorValue]) throws {
    for side in [unfused, fused] {
      for (name, value) in inputs { try side.workspace.setInput(name, value) }
    }
  }

  /// Runs both once and compares what they give.
  func difference() throws -> Difference {
    for side in [unfused, fused] { try side.plan.run(side.workspace) }
    var difference = Difference()
    for output in unfused.plan.graph.outputs {
      difference.add(
        expected: try unfused.workspace.output(output.name).doubles,
        found: try fused.workspace.output(output.name).doubles)
    }
    return difference
  }

  /// Times both in turn.
  /// - Parameter progress: is told how many rounds are done.
  func time(rounds: Int, progress: (Int) -> Void = { _ in }) throws -> PairedTiming {
    try PairedTiming(
      rounds: rounds, progress: progress, first: { try unfused.plan.run(unfused.workspace) },
      second: { try fused.plan.run(fused.workspace) })
  }

  /// Times the folded graph and, second, one without norms and activations.
  /// - Parameter graph: the unfused graph.
  func timeAlone(_ graph: Graph, shapes: [String: Shape], rounds: Int) throws -> PairedTiming {
    let options = fused.plan.options
    let bare = try graph.withoutNormsAndActivations().folded().graph
    let plan = try bare.plan(shapes, threads: options.parallelism.threadCount)
    let workspace = plan.makeWorkspace()
    return try PairedTiming(
      rounds: rounds, first: { try fused.plan.run(fused.workspace) },
      second: { try plan.run(workspace) })
  }
}
