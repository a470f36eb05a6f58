internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// The numbers, in Double, of what a graph makes from weights that do not change, by the operations that make
/// whitening matrices of running statistics.
internal struct ConstantValues {
  private let state: FoldingState

  init(_ state: FoldingState) { self.state = state }

  /// The numbers of a value; nil where it depends on an input, on a weight that is updated, or on an operation
  /// that is none of these.
  func numbers(_ value: ValueID) -> DoubleTensor? {
    if state.isUpdated(value) { return nil }
    if let numbers = state.numbers(value) { return numbers }
    guard let producer = state.editor.producer(of: value), let node = state.editor.nodes[producer],
      node.outputs[0] == value
    else { return nil }
    let extents = state.editor.type(of: value).extents.compactMap(\.fixedValue)
    guard extents.count == state.editor.type(of: value).rank else { return nil }
    let shape = Shape(extents)
    switch node.primitive {
    case .fill(let number, _): return DoubleTensor(repeating: Double(number), shape: shape)
    case .reshape: return operands(of: node).flatMap { try? $0[0].reshaped(to: shape) }
    case .concatenation(axis: 0):
      guard let operands = operands(of: node) else { return nil }
      return DoubleTensor(uninitialized: shape) { out in
        var next = 0
        for operand in operands {
          for i in 0..<operand.count { out[next + i] = operand[flat: i] }
          next += operand.count
        }
      }
    case .arithmetic(.multiply):
      guard let operands = operands(of: node), operands[0].shape == shape,
        shape.extents.suffix(operands[1].shape.rank) == operands[1].shape.extents[...]
      else { return nil }
      return DoubleTensor(uninitialized: shape) { out in
        for i in out.indices {
          out[i] = operands[0][flat: i] * operands[1][flat: i % operands[1].count]
        }
      }
    case .whitening(let rule, let blocks):
      return operands(of: node).flatMap {
        try? WhiteningKernel.matrices(rule, blocks, of: $0[0], place: node.label)
      }
    default: return nil
    }
  }

  /// The numbers of a node's operands, asked for by operations that can be computed and no others: else every
  /// question would go back to the graph's input.
  private func operands(of node: Node) -> [DoubleTensor]? {
    var operands: [DoubleTensor] = []
    for input in node.inputs {
      guard let operand = numbers(input) else { return nil }
      operands.append(operand)
    }
    return operands
  }
}
