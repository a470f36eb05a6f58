import KeelTensor

extension OperandCheck {
  /// The result of a loss.
  func loss(_ loss: Loss) throws(KeelError) -> ValueType {
    try loss.validate(at: place)
    try count(loss.operandCount)
    return try lossResult(loss)
  }

  /// The results of a loss's gradient, whose last operand is the gradient of the loss.
  func lossGradient(_ loss: Loss) throws(KeelError) -> [ValueType] {
    try loss.validate(at: place)
    try count(loss.operandCount + 1)
    let result = try lossResult(loss)
    try equal(loss.operandCount, result, "loss gradient")
    return Array(repeating: inputs[0], count: loss.gradientCount)
  }

  private func lossResult(_ loss: Loss) throws(KeelError) -> ValueType {
    let first = inputs[0]
    let needsAxis = loss.isAlongRows || loss.hasWeights || loss.reduction == .batchMean
    try floats(0, loss.isAlongRows ? "input of classes" : "input")
    try require(first.rank >= 1 || !needsAxis, 0, "at least one axis")
    let rows = Array(first.extents.dropLast())
    if loss.takesLabels {
      try equal(1, ValueType(.int64, rows), "labels")
    } else if inputs.count > 1, loss.operandCount > 1 {
      try equal(1, first, "second operand")
    }
    if loss.hasWeights {
      let classes = ValueType([first.extents[first.rank - 1]])
      if loss.kind != .binaryCrossEntropy || inputs[2] != ValueType([1]) {
        try equal(2, classes, "weights")
      }
    } else if case .marginRanking = loss.kind {
      try equal(2, first, "signs")
    }
    guard loss.reduction == .none else { return ValueType([]) }
    return loss.isAlongRows ? ValueType(rows) : first
  }

  /// A float operand of at least one axis.
  func rows(_ index: Int, _ what: String) throws(KeelError) -> ValueType {
    try floats(index, what)
    try require(inputs[index].rank >= 1, index, "\(what) of at least one axis")
    return inputs[index]
  }
}

extension GradientRule {
  /// The gradients of a loss's operands. A distance is symmetric, so its other side has the gradient with
  /// the operands changed about.
  func loss(_ loss: Loss, _ dLoss: ValueID, in builder: inout GraphBuilder) throws(KeelError)
    -> [ValueID?]
  {
    var gradients = [ValueID?](repeating: nil, count: node.inputs.count)
    func append(_ operands: [ValueID]) throws(KeelError) -> [ValueID] {
      try builder.append(.lossGradient(loss), operands + [dLoss], label: node.label)
    }
    if loss.gradientCount == 2 {
      let results = try append(node.inputs)
      (gradients[0], gradients[1]) = (results[0], results[1])
    } else {
      if needed[0] { gradients[0] = try append(node.inputs)[0] }
      if loss.isSymmetric, needed[1] {
        gradients[1] = try append([node.inputs[1], node.inputs[0]])[0]
      }
    }
    for index in node.inputs.indices where needed[index] && gradients[index] == nil {
      // Integers are constant almost everywhere.
      guard builder.graph.type(of: node.inputs[index]).elementType == .float32 else { continue }
      throw KeelError(
        .graph, at: node.label, expected: "no gradient of targets, weights or signs",
        found: "one of operand \(index) of \(node.primitive.name)")
    }
    return gradients
  }
}
