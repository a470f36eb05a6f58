internal import KeelGraph

/// What one step of a plan does, before memory is laid out.
internal struct PlanStep: Sendable {
  /// The place of its node among the graph's.
  let position: Int
  /// The node whose kernel runs.
  let node: Node
  /// A node that the kernel applies to the rows of its first operand while it reads them.
  let prologue: Node?

  /// The values that the step reads, in the order of the node's operands.
  var inputs: [ValueID] {
    guard let prologue else { return node.inputs }
    return [prologue.inputs[0]] + node.inputs.dropFirst()
  }
  /// The values that it writes.
  var outputs: [ValueID] { node.outputs }
}
