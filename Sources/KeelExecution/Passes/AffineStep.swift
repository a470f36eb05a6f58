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

  /// Reads the operation at a position: a norm, or arithmetic with a number or one per channel.
  /// - Returns: nil for operations that are no such map.
  /// - Throws: `Refusal` for one whose numbers are not constant.
  init?(at position: Int, _ state: FoldingState) throws(Refusal) {
    guard let node = state.editor.nodes[position] else { return nil }
    switch node.primitive {
    case .normalization(let normalization):
      self = try Self.norm(normalization, node, at: position, state)
    case .arithmetic(let operation):
      guard let step = try Self.arithmetic(operation, node, at: position, state) else { return nil }
      self = step
    case .elementwise(.negate):
      guard let channels = Self.channels(node, of: 0, state) else { return nil }
      self.init(position, node, of: 0, Self.map(channels) { _ in (-1, 0) })
    default: return nil
    }
  }

  /// Reads an operation that is such a map but not a norm.
  init?(arithmeticAt position: Int, _ state: FoldingState) throws(Refusal) {
    if case .normalization = state.editor.nodes[position]?.primitive { return nil }
    try self.init(at: position, state)
  }

  private init(
    _ position: Int, _ node: Node, of operand: Int, _ affine: ChannelAffine,
    _ epilogue: Epilogue = Epilogue(), residual: ValueID? = nil
  ) {
    self.position = position
    input = node.inputs[operand]
    output = node.outputs[0]
    self.affine = affine
    self.epilogue = epilogue
    self.residual = residual
  }

  private static func norm(
    _ normalization: Normalization, _ node: Node, at position: Int, _ state: FoldingState
  ) throws(Refusal) -> AffineStep {
    guard normalization.statistics == .given else {
      throw Refusal("it uses the statistics of the batch")
    }
    guard normalization.isChannelMap else {
      throw Refusal("it is no map per channel")
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
    let affine = ChannelAffine(
      epsilon: Double(normalization.epsilon), mean: values(at.mean)!,
      variance: values(at.variance)!, scale: values(at.scale), shift: values(at.shift))
    return AffineStep(
      position, node, of: 0, affine, normalization.epilogue,
      residual: at.residual.map { node.inputs[$0] })
  }

  /// x + c, x − c, c − x, x·c and x/c, with c a weight or fill of one element or one per channel.
  private static func arithmetic(
    _ operation: Arithmetic, _ node: Node, at position: Int, _ state: FoldingState
  ) throws(Refusal) -> AffineStep? {
    for operand in [0, 1] {
      let constant = node.inputs[1 - operand]
      guard let channels = channels(node, of: operand, state),
        let numbers = numbers(constant, channels: channels, like: node.inputs[operand], state)
      else { continue }
      func c(_ channel: Int) -> Double { numbers[numbers.count == 1 ? 0 : channel] }
      let affine: ChannelAffine
      switch operation {
      case .add: affine = map(channels) { (1, c($0)) }
      case .subtract: affine = map(channels) { operand == 0 ? (1, -c($0)) : (-1, c($0)) }
      case .multiply: affine = map(channels) { (c($0), 0) }
      case .divide where operand == 0: affine = map(channels) { (1 / c($0), 0) }
      default: return nil
      }
      guard (affine.factors + affine.offsets).allSatisfy(\.isFinite) else { return nil }
      guard !state.isUpdated(constant) else { throw Refusal("its numbers change after each run") }
      return AffineStep(position, node, of: operand, affine)
    }
    return nil
  }

  private static func map(_ channels: Int, _ numbers: (Int) -> (a: Double, t: Double))
    -> ChannelAffine
  {
    let values = (0..<channels).map(numbers)
    return ChannelAffine(factors: values.map(\.a), offsets: values.map(\.t))
  }

  /// The channels of an operand that has the result's type, rows and channels, and is computed.
  private static func channels(_ node: Node, of operand: Int, _ state: FoldingState) -> Int? {
    let type = state.editor.type(of: node.inputs[operand])
    guard type.rank >= 2, type == state.editor.type(of: node.outputs[0]),
      state.editor.weight(node.inputs[operand]) == nil
    else { return nil }
    return type.channelCount
  }

  /// One number or one per channel, of a weight or a fill.
  private static func numbers(
    _ constant: ValueID, channels: Int, like other: ValueID, _ state: FoldingState
  ) -> [Double]? {
    let extents = state.editor.type(of: constant).extents
    let count = extents.reduce(1) { $0 * ($1.fixedValue ?? 0) }
    guard count == 1 || (count == channels && extents.last == .fixed(channels)),
      extents.count <= state.editor.type(of: other).rank
    else { return nil }
    if let tensor = state.numbers(constant) { return tensor.elements }
    guard let position = state.editor.producer(of: constant),
      case .fill(let value, _) = state.editor.nodes[position]!.primitive
    else { return nil }
    return [Double(value)]
  }
}
