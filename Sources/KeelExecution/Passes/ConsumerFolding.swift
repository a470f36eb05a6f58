internal import KeelGraph
internal import KeelTensor

/// Folds a norm that no producer takes in, such as one behind a ReLU, into the operations after it:
/// weight′[o, …, c] = weight[o, …, c]·a[c], bias′ = bias + Σ weight·t; zero padding needs more than a bias
/// (`PaddedInput`).
///
/// Poolings, reshapes and activations that the map commutes with may stand between. The norm goes only
/// where everything that takes its result can take it in.
internal enum ConsumerFolding: FoldingRule {
  static func apply(at position: Int, _ state: inout FoldingState) throws(Refusal) -> Bool {
    guard let step = try AffineStep(at: position, state) else { return false }
    guard step.epilogue.isEmpty else {
      throw Refusal("\(state.name(position)) does more than scale and shift")
    }
    let absorptions = try absorptions(of: step.output, step.affine, state)
    guard !absorptions.isEmpty else { return false }
    try checkCost(absorptions, step, state)
    state.note(
      position, .folded, into: list(absorptions.map { state.name($0.consumer) }),
      by: absorptions.compactMap { $0.remedy?.description }.first)
    state.editor.nodes[position] = nil
    state.editor.replaceUses(of: step.output, with: step.input)
    for absorption in absorptions { absorption.perform(&state) }
    return true
  }

  /// Everything that takes a value, each with the map that it has to take in.
  private static func absorptions(
    of value: ValueID, _ affine: ChannelAffine, _ state: FoldingState
  ) throws(Refusal) -> [Absorption] {
    guard !state.editor.isResult(value) else { throw Refusal("its result leaves the graph") }
    var result: [Absorption] = []
    for consumer in state.editor.consumers(of: value) {
      let node = state.editor.nodes[consumer]!
      guard node.inputs.count(where: { $0 == value }) == 1, node.inputs[0] == value else {
        throw Refusal("\(state.name(consumer)) after it takes it beside other operands")
      }
      if let map = try WeightedMap(at: consumer, state) {
        result.append(try Absorption(consumer, map, affine, state))
        continue
      }
      guard node.inputs.count == 1, node.outputs.count == 1,
        let channels = state.editor.type(of: node.outputs[0]).channelCount,
        let past = affine.carried(
          past: node.primitive, channels: channels, rank: state.editor.type(of: value).rank)
      else { throw Refusal("\(state.name(consumer)) after it cannot take it in") }
      result += try absorptions(of: node.outputs[0], past, state)
    }
    return result
  }

  /// Refuses what would take more memory traffic than it saves.
  private static func checkCost(
    _ absorptions: [Absorption], _ step: AffineStep, _ state: FoldingState
  ) throws(Refusal) {
    guard state.extent == .whereItPays else { return }
    var traffic = 0
    for absorption in absorptions {
      guard let remedy = absorption.remedy else { continue }
      traffic += remedy.elementsPerImage(absorption.map)
      let name = state.name(absorption.consumer)
      guard case .borderMap = remedy else {
        throw Refusal("the zero padding of \(name) would need a copy of its input")
      }
      guard !feedsAdd(absorption.consumer, state) else {
        throw Refusal("for the zero padding of \(name), a map would take its residual's place")
      }
    }
    // A norm reads and writes its elements; a map is read.
    let norm = state.editor.type(of: step.input).extents.dropFirst().compactMap(\.fixedValue)
      .reduce(2, *)
    guard traffic <= norm else {
      throw Refusal("maps for the zero padding after it would be larger than it")
    }
  }

  /// Whether fusing would give an operation a residual.
  private static func feedsAdd(_ position: Int, _ state: FoldingState) -> Bool {
    let output = state.editor.nodes[position]!.outputs[0]
    guard let consumer = state.editor.soleConsumer(of: output),
      let node = state.editor.nodes[consumer]
    else { return false }
    return node.primitive == .add
  }

  private static func list(_ names: [String]) -> String {
    names.count < 2
      ? names.joined() : names.dropLast().joined(separator: ", ") + " and " + names.last!
  }
}

/// An operation with weights and the map before it that it takes in.
internal struct Absorption {
  /// Where the operation stands.
  let consumer: Int
  /// Its weights.
  let map: WeightedMap
  /// The map.
  let affine: ChannelAffine
  /// What zero padding needs beside the weights; nil where a bias does.
  let remedy: PaddedInput?
  /// What each tap makes of the offsets.
  private let sums: DoubleTensor

  init(
    _ consumer: Int, _ map: WeightedMap, _ affine: ChannelAffine, _ state: FoldingState
  ) throws(Refusal) {
    self.consumer = consumer
    self.map = map
    self.affine = affine
    let sums = map.tapSums(affine.offsets)
    self.sums = sums
    let isConstant = map.usesAllTaps || sums.elements.allSatisfy { $0 == 0 }
    remedy = isConstant ? nil : try PaddedInput(for: consumer, map, affine, state)
  }

  /// Changes the operation's weights.
  ///
  /// The norm is gone by now, but weights may have changed since `map` was read: by another absorption of
  /// the same norm, where two operations share a weight.
  func perform(_ state: inout FoldingState) {
    var map = map
    map.scaleInputs(affine.factors)
    switch remedy {
    case .borderMap: break
    case nil, .ownZero: map.addBias(map.totals(sums))
    }
    state.store(map, at: consumer)
    remedy?.add(to: consumer, map, sums, &state)
  }
}
