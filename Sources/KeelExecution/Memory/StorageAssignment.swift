internal import KeelGraph
internal import KeelTensor

/// Which values of a graph share memory, and from which step to which each piece is alive.
///
/// The result of a reshape or a detachment is its operand's memory, unless it is a result of the run made
/// from a weight that the run's updates change: results are what the run saw, not what it left behind. An elementwise
/// operation writes over its operand where nothing reads that afterwards. Neither is visible from
/// outside: memory that the caller sees (inputs, weights, outputs, updates) is never written over.
internal struct StorageAssignment {
  /// The piece of memory of each value, by `ValueID.index`.
  private(set) var piece: [Int]
  /// The step that first writes each piece; −1 for what is there before the first.
  private(set) var firstStep: [Int]
  /// The last step that reads each piece; the number of steps for what must outlive them.
  private(set) var lastStep: [Int]
  /// Whether a piece is an input, a weight or another constant.
  private(set) var isExternal: [Bool]

  /// - Parameter constants: values that are there before the first step, by `ValueID.index`.
  init(_ graph: Graph, shapes: [Shape], constants: Set<Int> = []) {
    let count = graph.types.count
    piece = Array(0..<count)
    firstStep = Array(repeating: -1, count: count)
    lastStep = Array(repeating: -1, count: count)
    isExternal = Array(repeating: false, count: count)
    for value in graph.inputs.map(\.value) + graph.weights.map(\.value) {
      isExternal[value.index] = true
    }
    for index in constants { isExternal[index] = true }
    let updated = Set(graph.updates.compactMap { graph.weight(named: $0.weight)?.value.index })
    let results = Set(graph.outputs.map(\.value) + graph.updates.map(\.value))
    for node in graph.nodes {
      guard node.primitive.isCopy else { continue }
      let source = piece[node.inputs[0].index]
      if !updated.contains(source) || !results.contains(node.outputs[0]) {
        piece[node.outputs[0].index] = source
      }
    }
    for (step, node) in graph.nodes.enumerated() {
      for input in node.inputs { lastStep[piece[input.index]] = step }
      for output in node.outputs where piece[output.index] == output.index {
        firstStep[output.index] = step
        lastStep[output.index] = max(lastStep[output.index], step)
      }
    }
    for value in graph.outputs.map(\.value) + graph.updates.map(\.value) {
      lastStep[piece[value.index]] = graph.nodes.count
    }
    for (step, node) in graph.nodes.enumerated() {
      let result = node.outputs[0]
      for operand in Self.overwritable(node.primitive) {
        let old = piece[node.inputs[operand].index]
        let new = piece[result.index]
        if old != new, !isExternal[old], lastStep[old] == step,
          shapes[node.inputs[operand].index].elementCount == shapes[result.index].elementCount
        {
          for value in 0..<count where piece[value] == new { piece[value] = old }
          lastStep[old] = lastStep[new]
          break
        }
      }
    }
  }

  /// The operands that the first result may be written over.
  private static func overwritable(_ primitive: Primitive) -> [Int] {
    switch primitive {
    case .activation, .activationGradient, .normalization, .normalizationGradient, .softmax,
      .logSoftmax:
      [0]
    // An operand that is broadcast has fewer elements than the result, and is left alone.
    case .arithmetic, .softmaxGradient, .logSoftmaxGradient: [0, 1]
    case .choice: [1, 2]
    case .elementwise, .arithmeticGradient, .parametricReLU, .parametricReLUGradient, .dropout: [0]
    default: []
    }
  }
}
