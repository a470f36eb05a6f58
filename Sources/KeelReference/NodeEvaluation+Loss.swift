import KeelGraph
import KeelTensor

extension NodeEvaluation {
  /// A loss of the node's operands.
  func loss(_ loss: Loss) throws(KeelError) -> [ReferenceValue] {
    [.real(LossReference.value(loss, try lossOperands(loss)))]
  }

  /// Its gradients; the gradient of the loss is the last operand.
  func lossGradient(_ loss: Loss) throws(KeelError) -> [ReferenceValue] {
    LossReference.gradient(loss, try lossOperands(loss), real(loss.operandCount)).map { .real($0) }
  }

  private func lossOperands(_ loss: Loss) throws(KeelError) -> LossReference.Operands {
    var result = LossReference.Operands(x: real(0))
    if loss.takesLabels {
      result.labels = try checkedLabels(ignoring: loss.ignoredLabel)
    } else if loss.operandCount > 1 {
      result.second = real(1)
    }
    if loss.operandCount > 2 { result.third = real(2) }
    return result
  }

  /// The labels, operand 1, each checked against the classes of operand 0.
  private func checkedLabels(ignoring ignored: Int64?) throws(KeelError) -> [Int?] {
    guard case .int64(let labels) = operands[1] else {
      preconditionFailure("\(node.label): expected integer labels, found reals")
    }
    let classes = operands[0].shape.channelCount
    var result: [Int?] = []
    for (index, label) in labels.elements.enumerated() {
      guard label != ignored else {
        result.append(nil)
        continue
      }
      guard label >= 0, label < classes else {
        throw KeelError(
          .value, at: node.label, expected: "labels from 0 to \(classes - 1)",
          found: "\(label) at index \(index)")
      }
      result.append(Int(label))
    }
    return result
  }
}
