import KeelGraph
import KeelTensor

/// Losses of classes, which are the ones that ONNX has.
extension GraphExporter {
  /// Why a loss has no form in ONNX, or nil where it has one.
  func refusal(of loss: Loss, rank: Int) -> String? {
    switch loss.kind {
    case .negativeLogLikelihood, .crossEntropy(smoothing: 0, _): break
    default: return ""
    }
    if loss.reduction == .batchMean { return "the sum by the first extent" }
    return rank < 2 ? "of a single row" : nil
  }

  /// (scores N×…×C, labels N×…, weights?) as N×C×…, N×….
  func loss(_ node: Node, _ loss: Loss, _ scores: WrittenValue) -> WrittenValue {
    let rank = scores.rank
    var names = [
      name(scores, in: [0, rank - 1] + Array(1..<rank - 1)),
      name(operand(node, 1), in: AxisOrder.plain(rank - 1)),
    ]
    if loss.hasWeights { names.append(name(operand(node, 2))) }
    var attributes: [ONNXAttributeProto] = [.string("reduction", loss.reduction.rawValue)]
    if let label = loss.ignoredLabel { attributes.append(.int("ignore_index", Int(label))) }
    let isCrossEntropy = if case .crossEntropy = loss.kind { true } else { false }
    let result = emit(
      isCrossEntropy ? "SoftmaxCrossEntropyLoss" : "NegativeLogLikelihoodLoss", names, attributes)
    let type = graph.type(of: node.outputs[0])
    return WrittenValue(result[0], order: AxisOrder.plain(type.rank), type)
  }
}
