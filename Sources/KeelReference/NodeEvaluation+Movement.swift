import KeelGraph
import KeelTensor

extension NodeEvaluation {
  /// (table, indices) → y.
  func selection() throws(KeelError) -> ReferenceValue {
    let table = real(0)
    let indices = try indices(below: table.shape[0])
    let row = table.count / max(table.shape[0], 1)
    return .real(
      DoubleTensor(
        uninitialized: Shape(operands[1].shape.extents + table.shape.extents.dropFirst())
      ) { out in
        for i in out.indices { out[i] = table[flat: indices[i / row] * row + i % row] }
      })
  }

  /// (dy, indices) → dTable.
  func selectionGradient(rows: Int) throws(KeelError) -> ReferenceValue {
    let dy = real(0)
    let indices = try indices(below: rows)
    let extents = dy.shape.extents.dropFirst(operands[1].shape.rank)
    let row = extents.reduce(1, *)
    return .real(
      DoubleTensor(summing: Shape([rows] + extents)) { out in
        for i in 0..<dy.count { out[indices[i / row] * row + i % row] += dy[flat: i] }
      })
  }

  private func indices(below count: Int) throws(KeelError) -> [Int] {
    guard case .int64(let tensor) = operands[1] else {
      preconditionFailure("\(node.label): expected indices, found reals")
    }
    if let wrong = tensor.elements.firstIndex(where: { !(0..<Int64(count)).contains($0) }) {
      throw KeelError(
        .value, at: node.label, expected: "indices from 0 to \(count - 1)",
        found: "\(tensor.elements[wrong]) at position \(wrong)")
    }
    return tensor.elements.map { Int($0) }
  }

  /// The result of an operation that moves elements. Integers go where their numbers go: Double would round
  /// those above 2⁵³.
  func moved(_ move: ([DoubleTensor]) -> DoubleTensor) -> ReferenceValue {
    if case .bool = operands[0] {
      let result = move(operands.map(\.asReal))
      return .bool(
        DenseArray(uninitialized: result.shape) { out in
          for i in out.indices { out[i] = result[flat: i] != 0 }
        })
    }
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
