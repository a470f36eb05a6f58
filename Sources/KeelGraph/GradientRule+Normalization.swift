import KeelTensor

extension GradientRule {
  /// The gradient through y, and that through the moments where the loss depends on them too.
  func normalization(
    _ normalization: Normalization, in builder: inout GraphBuilder
  ) throws(KeelError) -> [ValueID?] {
    let forward = NormalizationOperands(normalization)
    for index in [forward.mean, forward.variance] {
      if let index, needed[index] { throw missing("no gradient of given statistics") }
    }
    var gradients = [ValueID?](repeating: nil, count: node.inputs.count)
    if let dy = results[0] {
      try throughOutput(normalization, dy, into: &gradients, in: &builder)
    }
    if results.count > 1, let dMoments = results[1], needed[0] {
      let labels = forward.labels.map { [node.inputs[$0]] } ?? []
      let more = try one(
        .momentsGradient(normalization.partition, isWeighted: false),
        [dMoments, node.inputs[0], node.outputs[1]] + labels, in: &builder)
      gradients[0] =
        if let first = gradients[0] {
          try one(.arithmetic(.add), [first, more], in: &builder)
        } else {
          more
        }
    }
    return gradients
  }

  /// The gradient of a first result, with that through the moments of its channels, the second.
  func throughMoments(in builder: inout GraphBuilder) throws(KeelError) -> ValueID {
    guard let dMoments = results[1] else { return results[0]! }
    let more = try one(
      .momentsGradient(.batch, isWeighted: false), [dMoments] + node.outputs, in: &builder)
    guard let dy = results[0] else { return more }
    return try one(.arithmetic(.add), [dy, more], in: &builder)
  }

  private func throughOutput(
    _ normalization: Normalization, _ dy: ValueID, into gradients: inout [ValueID?],
    in builder: inout GraphBuilder
  ) throws(KeelError) {
    let forward = NormalizationOperands(normalization)
    let backward = NormalizationGradientOperands(normalization)
    var inputs = [dy, node.inputs[0]]
    if let index = forward.labels { inputs.append(node.inputs[index]) }
    if normalization.statistics == .current { inputs.append(node.outputs[1]) }
    for index in [
      forward.moments, forward.mean, forward.variance, forward.scale, forward.shift,
    ] {
      if let index { inputs.append(node.inputs[index]) }
    }
    if backward.output != nil { inputs.append(node.outputs[0]) }
    let outputs = try builder.append(
      .normalizationGradient(normalization), inputs, label: node.label)
    gradients[0] = outputs[0]
    for (operand, result) in [
      (forward.scale, backward.dScale), (forward.shift, backward.dShift),
      (forward.residual, backward.dResidual), (forward.moments, backward.dMoments),
    ] {
      if let operand, let result { gradients[operand] = outputs[result] }
    }
  }

  /// The gradient of x; labels and weights get none.
  func moments(
    _ partition: Partition, isWeighted: Bool, _ dMoments: ValueID, in builder: inout GraphBuilder
  ) throws(KeelError) -> [ValueID?] {
    let at = MomentsOperands(partition, isWeighted: isWeighted)
    if let weights = at.weights, needed[weights] { throw missing("no gradient of weights") }
    let dx = try one(
      .momentsGradient(partition, isWeighted: isWeighted),
      [dMoments, node.inputs[0], node.outputs[0]] + node.inputs.dropFirst(), in: &builder)
    return [dx] + node.inputs.dropFirst().map { _ in nil }
  }
}
