import KeelTensor

extension Graph {
  /// The name of the input that dropout draws from.
  public static let seedName = "seed"

  /// The inputs that dropout draws from.
  public var seedNames: Set<String> {
    let seeds = Set(nodes.compactMap { $0.isDropout ? $0.inputs[1] : nil })
    return Set(inputs.filter { seeds.contains($0.value) }.map(\.name))
  }
}

extension Node {
  fileprivate var isDropout: Bool {
    if case .dropout = primitive { true } else { false }
  }
}

extension GraphEditor {
  /// Puts the operand of every dropout in place of its result, and takes away seeds that nothing else
  /// takes.
  internal mutating func removeDropout() {
    var source: [ValueID: ValueID] = [:]
    var seeds: Set<ValueID> = []
    for (i, node) in nodes.enumerated() {
      guard let node, node.isDropout else { continue }
      source[node.outputs[0]] = node.inputs[0]
      seeds.insert(node.inputs[1])
      nodes[i] = nil
    }
    func origin(_ value: ValueID) -> ValueID {
      var value = value
      while let next = source[value] { value = next }
      return value
    }
    nodes = nodes.map { node in
      var node = node
      if let inputs = node?.inputs { node?.inputs = inputs.map(origin) }
      return node
    }
    outputs = outputs.map { .init(name: $0.name, value: origin($0.value)) }
    for seed in seeds where consumers(of: seed).isEmpty && !isResult(seed) { removeInput(seed) }
  }
}

extension Variable {
  /// Sets elements to 0 with a probability and scales the others by 1/(1 − p), in a trace for training;
  /// itself in one for inference.
  /// - Parameter unit: whether single elements go, or whole channels of a sample.
  public func dropout(_ probability: Float, unit: DropoutMask.Unit = .element) -> Variable {
    guard trace.mode == .training else {
      guard probability >= 0, probability <= 1 else {
        trace.fail(
          KeelError(
            .argument, at: "dropout after \(trace.lastLayer)",
            expected: "a probability from 0 to 1", found: "\(probability)"))
        return trace.nothing()
      }
      return self
    }
    let mask = DropoutMask(probability: probability, stream: trace.nextStream(), unit: unit)
    return trace.apply(.dropout(mask), [self, trace.seed()])[0]
  }

  /// The largest of each `pieces` neighbours along the last axis: C channels become C/pieces. The first of
  /// equals gets the gradient (Goodfellow et al. 2013, 1302.4389).
  public func maxout(pieces: Int) -> Variable {
    guard let type else { return self }
    let place = "maxout after \(trace.lastLayer)"
    guard pieces >= 1 else {
      trace.fail(
        KeelError(.argument, at: place, expected: "at least 1 piece", found: "\(pieces)"))
      return trace.nothing()
    }
    guard let channels = type.channelCount, channels % pieces == 0 else {
      trace.fail(
        KeelError(
          .shape, at: place, expected: "channels that \(pieces) pieces divide", found: "\(type)"))
      return trace.nothing()
    }
    let parts = Array(type.extents.dropLast()) + [.fixed(channels / pieces), .fixed(pieces)]
    return trace.apply(.reshape(parts), [self], label: place)[0].maximum(axes: [-1])
  }
}
