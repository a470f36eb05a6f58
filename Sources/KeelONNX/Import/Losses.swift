import KeelGraph
import KeelTensor

/// NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss.
extension GraphImporter {
  func negativeLogLikelihood(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let ignored = try node.int("ignore_index").map { Int64($0) }
    return [try loss(node, .negativeLogLikelihood(ignoring: ignored))]
  }

  /// The loss and, where it is asked for, the log-probabilities.
  func softmaxCrossEntropy(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let ignored = try node.int("ignore_index").map { Int64($0) }
    var results = [try loss(node, .crossEntropy(ignoring: ignored))]
    if node.hasOutput(1) {
      results.append(
        channelsLastResult(try append(.logSoftmax, [try channelsLast(node)], node.label)))
    }
    return results
  }

  /// (scores N×C×…, labels N×…, weights C?) → one loss, or one for each label.
  private func loss(_ node: ONNXNode, _ kind: Loss.Kind) throws(KeelError) -> ImportedValue {
    let reduction: Loss.Reduction
    switch try node.string("reduction", "mean") {
    case "none": reduction = .none
    case "sum": reduction = .sum
    case "mean": reduction = .mean
    case let other: throw node.unsupported("reduction none, sum or mean", found: other)
    }
    guard extents(try node.input(0)).count >= 2 else {
      throw node.unsupported("scores N×C×…", found: "\(extents(try node.input(0)))")
    }
    var operands = [try channelsLast(node), try plain(node, 1)]
    if node.optional(2) != nil { operands.append(try vector(node, 2, role: .state)) }
    let loss = Loss(kind, reduction: reduction, hasWeights: operands.count == 3)
    return plainResult(try append(.loss(loss), operands, node.label))
  }
}
