import Keel

/// A graph's plan with its workspace, the input set: run it, read the result.
final class PlannedGraph {
  private let plan: Plan
  private let workspace: Workspace

  /// Plans a graph for one input and sets it.
  init(_ graph: Graph, input: Tensor, threads: Int) throws(KeelError) {
    plan = try Plan(
      graph, inputShapes: ["x": input.shape], options: PlanOptions(threads: threads))
    workspace = plan.makeWorkspace()
    try workspace.setInput("x", .float32(input))
  }

  /// Runs once.
  func run() throws(KeelError) { try plan.run(workspace) }

  /// The result of the last run.
  func output() throws(KeelError) -> Tensor {
    try workspace.output("y").floats(at: "output y")
  }

  /// One number from all of the result.
  func checksum() throws(KeelError) -> Double { sum(try output()) }
}

/// The sum of a tensor's elements.
func sum(_ tensor: Tensor) -> Double {
  tensor.withSpan { elements in
    var total = 0.0
    for i in elements.indices { total += Double(elements[i]) }
    return total
  }
}
