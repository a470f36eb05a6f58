internal import KeelGraph
internal import KeelTensor

/// An operation that is a map per channel of constant numbers, perhaps with an epilogue of its own.
internal struct AffineStep {
  /// Where the operation stands.
  let position: Int
  /// What it takes.
  let input: ValueID
  /// What it makes.
  let output: ValueID
  /// The map.
  let affine: ChannelAffine
  /// What is done after it; without bias.
  let epilogue: Epilogue
  /// The residual of the epilogue.
  let residual: ValueID?

  /// Reads the operation at a position.
  /// - Returns: nil for operations that are no such map.
  /// - Throws: `Refusal` for a norm whose numbers are not constant.
  init?(at position: Int, _ state: FoldingState) throws(Refusal) {
    guard let node = state.editor.nodes[position],
      case .normalization(let normalization) = node.primitive
    else { return nil }
    guard normalization.statistics == .given else {
      throw Refusal("it uses the statistics of the batch")
    }
    let at = NormalizationOperands(normalization)
    let numbers = [at.mean, at.variance, at.scale, at.shift].compactMap { $0 }
    guard numbers.allSatisfy({ state.editor.weight(node.inputs[$0]) != nil }) else {
      throw Refusal("its numbers are not weights of the graph")
    }
    guard numbers.allSatisfy({ !state.isUpdated(node.inputs[$0]) }) else {
      throw Refusal("its numbers change after each run")
    }
    func values(_ index: Int?) -> [Double]? {
      index.flatMap { state.numbers(node.inputs[$0]) }?.elements
    }
    self.position = position
    input = node.inputs[0]
    output = node.outputs[0]
    affine = ChannelAffine(
      epsilon: Double(normalization.epsilon), mean: values(at.mean)!,
      variance: values(at.variance)!, scale: values(at.scale), shift: values(at.shift))
    epilogue = normalization.epilogue
    residual = at.residual.map { node.inputs[$0] }
  }
}
