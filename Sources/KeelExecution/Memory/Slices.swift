internal import KeelGraph
internal import KeelTensor

/// Which values of a plan are slices of larger ones: concatenations without copies.
///
/// An operand of a concatenation is written straight into its part of the result where the kernel that makes
/// it can write, and all that take it can read, rows that lie apart, and nobody outside the plan sees it. The
/// concatenation copies the others, and is no step where there are none. Where the parts are contiguous (all
/// extents before the axis are 1) every kernel serves.
///
/// The largest result comes first: of the concatenations of a dense block, [a, b], [a, b, c] and so on, all
/// operands are parts of the last result, and so are the other results.
internal struct Slices {
  /// The rows of a value within those of a larger one.
  struct Slice: Hashable {
    /// The larger value, by `ValueID.index`.
    let whole: Int
    /// Floats from its start to the first row.
    let offset: Int
    /// Floats from one row to the next.
    let stride: Int
  }

  /// The slices, by `ValueID.index`.
  private(set) var slices: [Int: Slice] = [:]
  /// The operands that each concatenation copies, by step; none has nothing to do.
  private(set) var copied: [Int: [Int]] = [:]
  private let steps: [PlanStep]
  private let shapes: [Shape]

  /// - Parameter fixed: the values that cannot be slices, by `ValueID.index`: what is outside the arena or seen
  ///   from outside, and what shares its memory in another shape.
  init(_ graph: Graph, steps: [PlanStep], shapes: [Shape], fixed: Set<Int>) {
    self.steps = steps
    self.shapes = shapes
    let uses = Uses(steps, count: graph.types.count)
    let concatenations = steps.indices.filter { steps[$0].concatenationAxis != nil }
    let order = concatenations.sorted {
      (result(of: $1).count, $1) < (result(of: $0).count, $0)
    }
    for step in order {
      let operands = steps[step].inputs.map(\.index)
      let result = result(of: step).index
      guard graph.types[result].elementType == .float32 else {
        copied[step] = Array(operands.indices)
        continue
      }
      if slices[result] == nil, let view = slices[operands[0]],
        parts(of: view, step) == operands.map({ slices[$0] }),
        canLieApart(result, view.stride, uses, fixed)
      {
        slices[result] = view
        continue
      }
      let own =
        slices[result] ?? Slice(whole: result, offset: 0, stride: shapes[result].channelCount)
      let parts = parts(of: own, step)
      var missing: [Int] = []
      for (position, operand) in operands.enumerated() {
        if let part = parts[position], slices[operand] == nil,
          canLieApart(operand, part.stride, uses, fixed)
        {
          slices[operand] = part
        } else {
          missing.append(position)
        }
      }
      if !missing.isEmpty { copied[step] = missing }
    }
  }

  /// The floats from one row of a value to the next, where its rows lie apart.
  func stride(of value: ValueID) -> Int? {
    slices[value.index].flatMap { liesApart(value.index, $0.stride) ? $0.stride : nil }
  }

  /// Whether a step has nothing to do.
  func isDone(_ step: Int) -> Bool {
    steps[step].concatenationAxis != nil && copied[step] == nil
  }

  private func result(of step: Int) -> (index: Int, count: Int) {
    let index = steps[step].outputs[0].index
    return (index, shapes[index].elementCount)
  }

  private func liesApart(_ value: Int, _ stride: Int) -> Bool {
    stride != shapes[value].channelCount && shapes[value].rowCount > 1
  }

  private func canLieApart(_ value: Int, _ stride: Int, _ uses: Uses, _ fixed: Set<Int>) -> Bool {
    guard !fixed.contains(value), let producer = uses.producers[value] else { return false }
    guard liesApart(value, stride) else { return true }
    return steps[producer.step].writesApart(producer.result)
      && uses.consumers[value].allSatisfy { steps[$0.step].readsApart($0.operand) }
  }

  /// Where the operands of a concatenation lie within its result; nil where they are no rows.
  private func parts(of result: Slice, _ step: Int) -> [Slice?] {
    let operands = steps[step].inputs.map { shapes[$0.index] }
    guard let axis = steps[step].concatenationAxis, let first = operands.first else { return [] }
    let isLast = axis == first.rank - 1
    let isContiguous = first.extents[..<axis].allSatisfy { $0 == 1 }
    var offset = result.offset
    return operands.map { shape in
      guard isLast || isContiguous else { return nil }
      defer { offset += isLast ? shape.channelCount : shape.rowCount * result.stride }
      return Slice(whole: result.whole, offset: offset, stride: result.stride)
    }
  }

  /// Who makes and who takes each value.
  private struct Uses {
    var producers: [(step: Int, result: Int)?]
    var consumers: [[(step: Int, operand: Int)]]

    init(_ steps: [PlanStep], count: Int) {
      producers = Array(repeating: nil, count: count)
      consumers = Array(repeating: [], count: count)
      for (index, step) in steps.enumerated() {
        for (position, value) in step.outputs.enumerated() {
          producers[value.index] = (index, position)
        }
        for (position, value) in step.inputs.enumerated() {
          consumers[value.index].append((index, position))
        }
      }
    }
  }
}

extension PlanStep {
  /// The axis of a concatenation.
  internal var concatenationAxis: Int? {
    if case .concatenation(let axis) = node.primitive { axis } else { nil }
  }

  /// Whether the step's kernel reads an operand whose rows are slices of larger ones.
  fileprivate func readsApart(_ operand: Int) -> Bool {
    switch node.primitive {
    case .convolution(_, let epilogue), .convolutionWithMoments(_, let epilogue),
      .transposedConvolution(_, let epilogue), .linear(let epilogue):
      operand == 0 || operand == epilogue.residualOperand || operand >= node.inputs.count
    case .normalization(let normalization):
      normalization.statistics != .current
        && (operand == 0 || operand == NormalizationOperands(normalization).residual)
    case .pooling, .maxPoolingWithIndices, .concatenation: true
    default: false
    }
  }

  /// Whether the step's kernel writes a result whose rows are slices of larger ones. The moments of a
  /// convolution's result may be made by a pass over dense rows.
  fileprivate func writesApart(_ result: Int) -> Bool {
    guard result == 0 || pooling != nil else { return false }
    return switch node.primitive {
    case .convolution, .transposedConvolution, .linear, .pooling, .maxPoolingWithIndices,
      .concatenation:
      true
    case .normalization(let normalization): normalization.statistics != .current
    default: false
    }
  }
}

extension Epilogue {
  /// The operand of a weighted operation that holds the residual.
  internal var residualOperand: Int? { hasResidual ? (hasBias ? 3 : 2) : nil }
}
