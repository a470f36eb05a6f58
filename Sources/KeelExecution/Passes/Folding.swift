internal import KeelGraph
internal import KeelTensor

/// Folds batch norms with given statistics into the weights of the operation before them.
internal enum Folding {
  static func run(_ editor: inout GraphEditor, _ report: inout FoldReport) {
    for i in editor.nodes.indices {
      guard let norm = editor.nodes[i], case .normalization(let normalization) = norm.primitive
      else { continue }
      switch candidate(for: norm, normalization, editor) {
      case .success(let producer):
        let target = editor.nodes[producer]!
        fold(norm, normalization, into: producer, &editor)
        editor.nodes[i] = nil
        report.entries.append(
          .init(
            operation: "batch norm", layer: norm.label,
            target: "\(target.primitive.name) \(target.label)", outcome: .folded))
      case .failure(let refusal):
        report.entries.append(
          .init(
            operation: "batch norm", layer: norm.label, target: nil,
            outcome: .kept(reason: refusal.reason)))
      }
    }
  }

  private struct Refusal: Error { let reason: String }

  /// The position of the operation that can take a batch norm in, or why there is none.
  private static func candidate(
    for norm: Node, _ normalization: Normalization, _ editor: GraphEditor
  ) -> Result<Int, Refusal> {
    func refuse(_ reason: String) -> Result<Int, Refusal> { .failure(Refusal(reason: reason)) }
    guard normalization.statistics == .given else {
      return refuse("it uses the statistics of the batch")
    }
    let at = NormalizationOperands(normalization)
    let numbers = [at.mean, at.variance, at.scale, at.shift].compactMap { $0 }
    guard numbers.allSatisfy({ editor.weight(norm.inputs[$0]) != nil }) else {
      return refuse("its numbers are not weights of the graph")
    }
    guard numbers.allSatisfy({ !isUpdated(norm.inputs[$0], editor) }) else {
      return refuse("its numbers change after each run")
    }
    guard let producer = editor.producer(of: norm.inputs[0]), let node = editor.nodes[producer]
    else { return refuse("nothing before it has weights") }
    let epilogue: Epilogue
    switch node.primitive {
    case .convolution(_, let e), .linear(let e): epilogue = e
    default: return refuse("\(node.primitive.name) before it has no weights")
    }
    guard !epilogue.hasResidual, epilogue.activation == nil else {
      return refuse("\(node.primitive.name) \(node.label) is not linear up to it")
    }
    guard editor.soleConsumer(of: norm.inputs[0]) != nil else {
      return refuse("the result of \(node.label) is taken elsewhere too")
    }
    guard node.inputs.dropFirst().allSatisfy({ editor.weight($0) != nil }) else {
      return refuse("the weight of \(node.label) is computed")
    }
    guard node.inputs.dropFirst().allSatisfy({ !isUpdated($0, editor) }) else {
      return refuse("the weight of \(node.label) changes after each run")
    }
    return .success(producer)
  }

  /// Whether the graph gives a weight a new value after each run, which would undo a fold or be lost in it.
  private static func isUpdated(_ value: ValueID, _ editor: GraphEditor) -> Bool {
    guard let name = editor.weight(value)?.name else { return false }
    return editor.updates.contains { $0.weight == name }
  }

  private static func fold(
    _ norm: Node, _ normalization: Normalization, into producer: Int, _ editor: inout GraphEditor
  ) {
    var node = editor.nodes[producer]!
    let at = NormalizationOperands(normalization)
    func numbers(_ index: Int?) -> [Double]? {
      index.flatMap { editor.weight(norm.inputs[$0]) }?.tensor.elements.map(Double.init)
    }
    let (mean, variance) = (numbers(at.mean)!, numbers(at.variance)!)
    let (scale, shift) = (numbers(at.scale), numbers(at.shift))
    let factors = variance.indices.map { c in
      (scale?[c] ?? 1) / (variance[c] + Double(normalization.epsilon)).squareRoot()
    }
    let weight = editor.weight(node.inputs[1])!
    let oldBias = node.primitive.epilogue!.hasBias ? editor.weight(node.inputs[2]) : nil
    let bias = mean.indices.map { c in
      (Double(oldBias?.tensor[flat: c] ?? 0) - mean[c]) * factors[c] + (shift?[c] ?? 0)
    }
    let newWeight = scaledRows(weight.tensor, by: factors)
    let newBias = vector(bias)
    node.inputs[1] = put(newWeight, over: weight, &editor)
    let layer = weight.name.hasSuffix(".weight") ? String(weight.name.dropLast(7)) : weight.name
    if let oldBias {
      node.inputs[2] = put(newBias, over: oldBias, &editor)
    } else {
      node.inputs.append(editor.addWeight("\(layer).bias", newBias, role: weight.role))
    }
    var epilogue = normalization.epilogue
    epilogue.hasBias = true
    if let residual = at.residual { node.inputs.append(norm.inputs[residual]) }
    node.primitive = node.primitive.replacingEpilogue(epilogue)!
    node.outputs = norm.outputs
    editor.nodes[producer] = node
  }

  /// Puts a folded tensor in a weight's place, or beside it where another operation takes the weight too.
  private static func put(
    _ tensor: Tensor, over weight: Graph.Weight, _ editor: inout GraphEditor
  ) -> ValueID {
    if editor.soleConsumer(of: weight.value) != nil {
      editor.replaceWeight(weight.value, with: tensor)
      return weight.value
    }
    return editor.addWeight("\(weight.name).folded", tensor, role: weight.role)
  }

  /// Row o of the tensor times factor o, in Double, rounded once.
  private static func scaledRows(_ tensor: Tensor, by factors: [Double]) -> Tensor {
    let rowLength = tensor.count / factors.count
    var result = tensor
    result.withMutableSpan { span in
      for (row, factor) in factors.enumerated() {
        for i in row * rowLength..<(row + 1) * rowLength {
          span[i] = Float(Double(span[i]) * factor)
        }
      }
    }
    return result
  }

  private static func vector(_ values: [Double]) -> Tensor {
    Tensor(uninitialized: [values.count]) { out in
      for (i, value) in values.enumerated() { out[i] = Float(value) }
    }
  }
}
