internal import KeelGraph
internal import KeelTensor

/// Folds a norm into the operation before it: weight′ = a·weight, bias′ = a·bias + t.
///
/// That operation is a convolution, transposed or not, or linear layer, or another norm, whose scale and shift it changes.
/// Poolings, reshapes and activations that the map commutes with may stand between. A result that
/// something else takes too is computed twice where that costs less than the norm (`mayRepeat`), otherwise
/// the norm stays.
internal enum ProducerFolding: FoldingRule {
  static func apply(at position: Int, _ state: inout FoldingState) throws(Refusal) -> Bool {
    guard let step = try AffineStep(at: position, state) else { return false }
    let path = try path(from: step, state)
    var target = path.producer
    if path.isShared {
      state.editor.nodes.append(state.editor.nodes[target]!)
      target = state.editor.nodes.count - 1
      state.editor.nodes[target]!.outputs = [
        state.editor.addValue(state.editor.type(of: step.input))
      ]
    }
    state.note(
      position, .folded, into: state.name(path.producer),
      by: path.isShared ? "computed a second time" : nil)
    state.editor.nodes[position] = nil
    if var map = try WeightedMap(at: target, state) {
      map.apply(path.affine)
      state.store(map, at: target)
    } else if let first = try AffineStep(arithmeticAt: target, state) {
      state.editor.nodes[target] = norm(first, followedBy: path.affine, &state)
    } else {
      compose(path.affine, intoNormAt: target, &state)
    }
    let last = path.carriers.first ?? target
    finish(step, after: last, &state)
    return true
  }

  /// The way from a norm back to the operation that takes it in.
  private struct Path {
    let producer: Int
    /// Whether something else takes the producer's result.
    let isShared: Bool
    /// The operations between, from the norm on.
    let carriers: [Int]
    /// The map that the producer takes in.
    let affine: ChannelAffine
  }

  private static func path(from step: AffineStep, _ state: FoldingState) throws(Refusal) -> Path {
    let editor = state.editor
    var (value, affine, carriers) = (step.input, step.affine, [Int]())
    while true {
      guard let producer = editor.producer(of: value), let node = editor.nodes[producer] else {
        throw Refusal("nothing before it has weights")
      }
      if takesIn(node, at: producer, state) {
        if let end = node.primitive.epilogue {
          guard let past = end.activation.map({ affine.carried(past: $0) }) ?? affine,
            !end.hasResidual, node.outputs[0] == value
          else { throw Refusal("\(state.name(producer)) is not linear up to it") }
          affine = past
        }
        guard step.residual == nil || node.outputs.count == 1 else {
          throw Refusal("what it adds may depend on \(state.name(producer))")
        }
        let isShared = !state.hasOneConsumer(value)
        try checkWeights(of: producer, state)
        if isShared { try checkRepeating(producer, hasCarriers: !carriers.isEmpty, state) }
        return Path(
          producer: producer, isShared: isShared, carriers: carriers, affine: affine)
      }
      guard node.outputs.count == 1, let input = node.inputs.first,
        case let type = editor.type(of: input), let channels = type.channelCount,
        let past = affine.carried(past: node.primitive, channels: channels, rank: type.rank)
      else { throw Refusal("\(node.primitive.name) before it has no weights") }
      guard state.hasOneConsumer(value) else {
        throw Refusal("the result of \(node.label) is taken elsewhere too")
      }
      carriers.append(producer)
      (value, affine) = (input, past)
    }
  }

  /// Whether an operation has numbers that a map of its result can go into.
  private static func takesIn(_ node: Node, at position: Int, _ state: FoldingState) -> Bool {
    switch node.primitive {
    case .convolution, .transposedConvolution, .linear, .normalization: true
    case .arithmetic, .elementwise: ((try? AffineStep(at: position, state)) ?? nil) != nil
    default: false
    }
  }

  private static func checkWeights(of producer: Int, _ state: FoldingState) throws(Refusal) {
    let node = state.editor.nodes[producer]!
    guard case .normalization(let normalization) = node.primitive else {
      _ = try WeightedMap(at: producer, state)
      return
    }
    guard normalization.recovery.extent == .channels else {
      throw Refusal("the scale of \(node.label) is not one per channel")
    }
    let at = NormalizationOperands(normalization)
    let operands = [at.scale, at.shift].compactMap { $0.map { node.inputs[$0] } }
    guard operands.allSatisfy({ state.editor.weight($0) != nil }) else {
      throw Refusal("the scale of \(node.label) is computed")
    }
    guard !operands.contains(where: state.isUpdated) else {
      throw Refusal("the scale of \(node.label) changes after each run")
    }
  }

  /// The multiply-adds per element up to which computing a result twice is taken to cost no more than
  /// passing over it once more: a norm reads and writes 8 bytes per element. A rule of thumb, not a
  /// measurement: it lets depthwise 3×3 through and keeps dense 3×3 out.
  private static let cheapReduction = 16

  private static func checkRepeating(
    _ producer: Int, hasCarriers: Bool, _ state: FoldingState
  ) throws(Refusal) {
    let node = state.editor.nodes[producer]!
    let shared = "the result of \(node.label) is taken elsewhere too"
    guard !hasCarriers, let map = try WeightedMap(at: producer, state) else {
      throw Refusal(shared)
    }
    let cost = map.multiplyAddsPerElement
    guard cost <= cheapReduction || state.extent == .everywhere else {
      throw Refusal("\(shared), and \(cost) multiply-adds per element cost more than the norm")
    }
  }

  /// Arithmetic and a map behind it as the norm that they are: mean 0, variance 1, ε 0, so that one pass
  /// does both if nothing takes them in.
  private static func norm(
    _ first: AffineStep, followedBy affine: ChannelAffine, _ state: inout FoldingState
  ) -> Node {
    let old = state.editor.nodes[first.position]!
    let both = first.affine.followed(by: affine)
    let zeros = [Double](repeating: 0, count: both.count)
    var inputs = [first.input]
    for (name, values) in [
      ("mean", zeros), ("variance", zeros.map { _ in 1 }), ("scale", both.factors),
      ("shift", both.offsets),
    ] {
      let tensor = DoubleTensor(uninitialized: [both.count]) { out in
        for c in out.indices { out[c] = values[c] }
      }
      inputs.append(state.addWeight("\(old.label).\(name)", tensor, like: first.input))
    }
    do throws(KeelError) {
      let normalization = try Normalization(
        statistics: .given, operation: .standardize(epsilon: 0))
      return Node(
        primitive: .normalization(normalization), inputs: inputs, outputs: old.outputs,
        label: old.label)
    } catch { preconditionFailure("a norm of fixed choices: \(error)") }
  }

  /// Changes scale and shift of a norm; one that had none gets them.
  private static func compose(
    _ affine: ChannelAffine, intoNormAt target: Int, _ state: inout FoldingState
  ) {
    var node = state.editor.nodes[target]!
    guard case .normalization(let normalization) = node.primitive else { return }
    let at = NormalizationOperands(normalization)
    func vector(_ value: (Int) -> Double) -> DoubleTensor {
      DoubleTensor(uninitialized: [affine.count]) { out in
        for c in out.indices { out[c] = value(c) }
      }
    }
    func numbers(_ index: Int?) -> DoubleTensor? {
      index.map { state.numbers(node.inputs[$0])! }
    }
    let (scale, shift) = (numbers(at.scale), numbers(at.shift))
    let newScale = vector { (scale?[flat: $0] ?? 1) * affine.factors[$0] }
    let newShift = vector { (shift?[flat: $0] ?? 0) * affine.factors[$0] + affine.offsets[$0] }
    let to = NormalizationOperands(normalization.replacing(recovery: .affine))
    for (name, value, from, to) in [
      ("scale", newScale, at.scale, to.scale!), ("shift", newShift, at.shift, to.shift!),
    ] {
      if from != nil {
        node.inputs[to] = state.put(value, over: node.inputs[to])
      } else {
        node.inputs.insert(
          state.addWeight("\(node.label).\(name)", value, like: node.inputs[0]), at: to)
      }
    }
    node.primitive = .normalization(normalization.replacing(recovery: .affine))
    state.editor.nodes[target] = node
  }

  /// Has the last operation of a path make the norm's result, with the norm's epilogue.
  private static func finish(_ step: AffineStep, after last: Int, _ state: inout FoldingState) {
    let node = state.editor.nodes[last]!
    if step.epilogue.isEmpty {
      state.editor.nodes[last]!.outputs[0] = step.output
    } else if var epilogue = node.primitive.epilogue, epilogue.activation == nil {
      epilogue.hasResidual = step.epilogue.hasResidual
      epilogue.activation = step.epilogue.activation
      state.editor.nodes[last]!.primitive = node.primitive.replacingEpilogue(epilogue)!
      if let residual = step.residual { state.editor.nodes[last]!.inputs.append(residual) }
      state.editor.nodes[last]!.outputs[0] = step.output
    } else {
      // Operations of their own, which fusing may put somewhere else.
      let type = state.editor.type(of: step.output)
      var value = node.outputs[0]
      if let residual = step.residual {
        value = state.editor.append(.add, [value, residual], type, label: node.label)
      }
      if let activation = step.epilogue.activation {
        value = state.editor.append(.activation(activation), [value], type, label: node.label)
      }
      state.editor.replaceUses(of: step.output, with: value)
    }
  }
}
