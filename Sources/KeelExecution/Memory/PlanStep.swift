internal import KeelGraph
internal import KeelTensor

/// What one step of a plan does, before memory is laid out.
internal struct PlanStep: Sendable {
  /// The place of its node among the graph's.
  let position: Int
  /// The node whose kernel runs.
  let node: Node
  /// A node that the kernel applies to the rows of its first operand while it reads them.
  var prologue: Node? = nil
  /// What the first operand is made of, where the kernel reads that through; empty where it reads the operand.
  var parts: [Part] = []

  /// A pooling that the kernel does along the way.
  var pooling: Node? = nil
  /// Whether somebody else reads what is pooled.
  var keepsResult = true
  /// The moments of a convolution's result that the kernel gathers along the way.
  var moments: Moments? = nil

  /// The moments that a normalization would make of a convolution's result.
  struct Moments: Sendable {
    let value: ValueID
    let partition: Partition
  }

  /// Some channels of a convolution's input.
  struct Part: Sendable {
    /// What is read.
    let value: ValueID
    /// The nodes that move its pixels, first to last.
    let movements: [Node]
  }

  /// The operations that the kernel does, first to last.
  var operation: String {
    var names: [String] = []
    if let prologue { names.append(prologue.primitive.name) }
    for part in parts {
      names += part.movements.map(\.primitive.name).filter { !names.contains($0) }
    }
    if parts.count > 1 { names.append("concatenation") }
    names.append(node.primitive.name)
    if let pooling { names.append(pooling.primitive.name) }
    if moments != nil { names.append("moments") }
    return names.joined(separator: " → ")
  }

  /// The values that the step reads: the node's operands in their order, then further parts of the first.
  var inputs: [ValueID] {
    if let prologue { return [prologue.inputs[0]] + node.inputs.dropFirst() }
    guard let first = parts.first else { return node.inputs }
    return [first.value] + node.inputs.dropFirst() + parts.dropFirst().map(\.value)
  }
  /// The values that it writes: the node's, unless it is pooled for nobody to see, then the pooled one.
  var outputs: [ValueID] {
    if let moments { return node.outputs + [moments.value] }
    guard let pooling else { return node.outputs }
    return (keepsResult ? node.outputs : []) + pooling.outputs
  }
  /// Which of them is the pooled one.
  var pooledResult: Int? { pooling == nil ? nil : outputs.count - 1 }
}
