import KeelGraph
import KeelTensor

extension NodeEvaluation {
  /// The result of an operation that moves elements. Integers go where their numbers go: Double would round
  /// those above 2⁵³.
  func moved(_ move: ([DoubleTensor]) -> DoubleTensor) -> ReferenceValue {
    guard case .int64 = operands[0] else { return .real(move(operands.indices.map { real($0) })) }
    // Number 0 is what fills.
    var elements: [Int64] = [0]
    var numbers: [DoubleTensor] = []
    for operand in operands {
      guard case .int64(let tensor) = operand else {
        preconditionFailure("\(node.label): expected integers throughout, found reals")
      }
      let first = elements.count
      elements += tensor.elements
      numbers.append(
        DoubleTensor(uninitialized: tensor.shape) { out in
          for i in out.indices { out[i] = Double(first + i) }
        })
    }
    let result = move(numbers)
    return .int64(
      IndexTensor(uninitialized: result.shape) { out in
        for i in out.indices { out[i] = elements[Int(result[flat: i])] }
      })
  }
}
