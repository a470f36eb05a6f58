import Keel

/// A graph's plan with its workspace, the inputs set: run it, read the result.
public final class PlannedGraph {
  private let plan: Plan
  private let workspace: Workspace

  /// Plans a graph with an output `y` or others for its inputs and sets them.
  public convenience init(
    _ graph: Graph, inputs: [String: Tensor], threads: Int
  ) throws(KeelError) {
    try self.init(graph, inputs: inputs, options: PlanOptions(threads: threads))
  }

  /// Plans a graph as the options say.
  public init(
    _ graph: Graph, inputs: [String: Tensor], options: PlanOptions
  ) throws(KeelError) {
    plan = try Plan(graph, inputShapes: inputs.mapValues(\.shape), options: options)
    workspace = plan.makeWorkspace()
    for (name, tensor) in inputs { try workspace.setInput(name, .float32(tensor)) }
  }

  /// Runs once.
  public func run() throws(KeelError) { try plan.run(workspace) }

  /// A result of the last run.
  public func output(_ name: String = "y") throws(KeelError) -> Tensor {
    try workspace.output(name).floats(at: "output \(name)")
  }

  /// One number from all of the result.
  public func checksum() throws(KeelError) -> Double { sum(try output()) }
}

/// The sum of a tensor's elements.
public func sum(_ tensor: Tensor) -> Double {
  tensor.withSpan { elements in
    var total = 0.0
    for i in elements.indices { total += Double(elements[i]) }
    return total
  }
}

/// A result that is not what it must be: the benchmark ends with status 1.
public struct Mismatch: Error, CustomStringConvertible {
  /// What differs, and by how much.
  public let description: String

  /// Makes a mismatch.
  public init(description: String) { self.description = description }
}
