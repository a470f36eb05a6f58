import Keel
import KeelReference

/// The unfolded graph in Double against the folded plan in Float, on the same inputs.
struct Verification {
  /// One output over all runs.
  struct Output: Sendable {
    let name: String
    let shape: Shape
    fileprivate(set) var difference = Difference()
    fileprivate var samples = 0
    fileprivate var agreeing = 0

    /// The share of samples for which both name the same class, of outputs N×K; nil of others.
    var topOneAgreement: Double? { samples == 0 ? nil : Double(agreeing) / Double(samples) }
  }

  /// The outputs, in the graph's order, once there was a run.
  private(set) var outputs: [Output] = []

  private let reference: ReferenceEvaluator
  private let names: [String]
  private let plan: Plan
  private let workspace: Workspace

  /// Prepares both for inputs of these shapes.
  init(_ graph: Graph, _ folded: Graph, shapes: [String: Shape], threads: Int) throws {
    plan = try folded.plan(shapes, threads: threads)
    workspace = plan.makeWorkspace()
    reference = ReferenceEvaluator(graph)
    names = graph.outputs.map(\.name)
  }

  /// The largest difference of an output, relative to the largest magnitude of the reference's.
  var maxRelativeDifference: Double { outputs.map(\.difference.relative).max() ?? 0 }

  /// The largest difference of an output.
  var maxDifference: Double { outputs.map(\.difference.absolute).max() ?? 0 }

  /// The share of samples for which both name the same class; nil where no output is N×K.
  var topOneAgreement: Double? {
    let samples = outputs.reduce(0) { $0 + $1.samples }
    return samples == 0
      ? nil : Double(outputs.reduce(0) { $0 + $1.agreeing }) / Double(samples)
  }

  /// Runs both.
  /// - Parameter progress: is told how many of how many operations of the reference are done.
  mutating func run(
    _ inputs: [String: TensorValue], progress: (_ done: Int, _ count: Int) -> Void = { _, _ in }
  ) throws {
    let values = inputs.mapValues { ReferenceValue($0) }
    let exact = try reference.run(values, progress: progress).outputs
    for (name, value) in inputs { try workspace.setInput(name, value) }
    try plan.run(workspace)
    if outputs.isEmpty {
      outputs = names.map { Output(name: $0, shape: exact[$0]!.shape) }
    }
    for (position, name) in names.enumerated() {
      let (expected, found) = (exact[name]!, try workspace.output(name))
      outputs[position].difference.add(expected: expected.elements, found: found.doubles)
      guard case .float32(let logits) = found, let shape = Self.logits(logits.shape) else {
        continue
      }
      let agreement = try Metrics.topOneAgreement(
        Tensor(rounding: expected).reshaped(to: shape), logits.reshaped(to: shape))
      outputs[position].samples += shape[0]
      outputs[position].agreeing += Int((agreement * Double(shape[0])).rounded())
    }
  }

  /// N×K of outputs N×K and N×K×1×…; nil of others.
  private static func logits(_ shape: Shape) -> Shape? {
    guard shape.rank >= 2, shape[0] >= 1, shape[1] >= 2,
      shape.extents.dropFirst(2).allSatisfy({ $0 == 1 })
    else { return nil }
    return [shape[0], shape[1]]
  }
}
