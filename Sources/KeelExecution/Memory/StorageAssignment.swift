internal import KeelGraph
internal import KeelTensor

/// Which values of a graph share memory, and from which step to which each piece is alive.
///
/// The result of a reshape or a detachment is its operand's memory, unless it is a result of the run made
/// from a weight that the run's updates change: results are what the run saw, not what it left behind. An elementwise
/// operation writes over its operand where nothing reads that afterwards. Operands of concatenations are slices
/// of their results (see `Slices`). None of it is visible from outside: memory that the caller sees (inputs,
/// weights, outputs, updates) is never written over.
internal struct StorageAssignment {
  /// The piece of memory of each value, by `ValueID.index`.
  private(set) var piece: [Int]
  /// The step that first writes each piece; −1 for what is there before the first.
  private(set) var firstStep: [Int]
  /// The last step that reads each piece; the number of steps for what must outlive them.
  private(set) var lastStep: [Int]
  /// Whether a piece is an input, a weight or another constant.
  private(set) var isExternal: [Bool]
  /// The values that are slices of larger ones.
  let slices: Slices

  /// - Parameter constants: values that are there before the first step, by `ValueID.index`.
  init(_ graph: Graph, steps: [PlanStep], shapes: [Shape], constants: Set<Int> = []) {
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
    var fixed = constants.union(results.map(\.index))
    fixed.formUnion((graph.inputs.map(\.value) + graph.weights.map(\.value)).map(\.index))
    for step in steps {
      guard step.node.primitive.isCopy else { continue }
      fixed.formUnion([step.inputs[0].index, step.outputs[0].index])
      let source = piece[step.inputs[0].index]
      if !updated.contains(source) || !results.contains(step.outputs[0]) {
        piece[step.outputs[0].index] = source
      }
    }
    slices = Slices(graph, steps: steps, shapes: shapes, fixed: fixed)
    for (value, slice) in slices.slices { piece[value] = slice.whole }
    for (index, step) in steps.enumerated() {
      for input in step.inputs { lastStep[piece[input.index]] = index }
      for output in step.outputs where !isExternal[piece[output.index]] {
        let piece = piece[output.index]
        if firstStep[piece] < 0 { firstStep[piece] = index }
        lastStep[piece] = max(lastStep[piece], index)
      }
    }
    for value in results { lastStep[piece[value.index]] = steps.count }
    for (index, step) in steps.enumerated() { writeOver(step, index, shapes) }
  }

  /// Gives the first result of a step an operand's memory, where nothing else reads that now or later.
  private mutating func writeOver(_ step: PlanStep, _ index: Int, _ shapes: [Shape]) {
    let result = step.outputs[0].index
    let new = piece[result]
    guard slices.slices[result] == nil else { return }
    for operand in Self.overwritable(step.node.primitive) {
      let value = step.inputs[operand].index
      let old = piece[value]
      let sharesParts = step.inputs.contains {
        piece[$0.index] == old && slices.slices[$0.index] != nil
      }
      if old != new, !isExternal[old], !sharesParts, lastStep[old] == index,
        shapes[value].elementCount == shapes[result].elementCount
      {
        for value in piece.indices where piece[value] == new { piece[value] = old }
        lastStep[old] = lastStep[new]
        return
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
