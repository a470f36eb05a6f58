import KeelGraph
import KeelTensor

/// Normalizations: ONNX's own where they say the same, otherwise statistics and arithmetic.
extension GraphExporter {
  func normalization(_ node: Node, _ normalization: Normalization) -> WrittenValue {
    let at = NormalizationOperands(normalization)
    let x = operand(node, 0)
    if normalization.statistics == .current, isTaken(node.outputs[1]) {
      keep(moments(of: x, normalization.partition), as: node.outputs[1])
    }
    let y =
      named(node, normalization, x)
      ?? recovered(composed(node, normalization, x), node, normalization, of: x)
    return finished(
      y, residual: at.residual.map { operand(node, $0) }, normalization.epilogue.activation)
  }

  // MARK: ONNX's own

  /// The normalization by the operator of ONNX that it is, if it is one.
  private func named(
    _ node: Node, _ normalization: Normalization, _ x: WrittenValue
  ) -> WrittenValue? {
    let epsilon = ONNXAttributeProto.float("epsilon", normalization.epsilon)
    let partition = normalization.partition
    guard normalization.recovery.extent == .channels,
      normalization.operation == .standardize(epsilon: normalization.epsilon)
    else { return nil }
    if normalization.isChannelMap {
      let at = NormalizationOperands(normalization)
      let given = [at.mean!, at.variance!].map { name(operand(node, $0)) }
      return byChannel("BatchNormalization", node, normalization, given, [epsilon])
    }
    guard normalization.statistics == .current else { return nil }
    switch (partition.rows, partition.channels) {
    case (.sample, .each) where x.rank > 2:
      return byChannel("InstanceNormalization", node, normalization, [], [epsilon])
    case (.sample, .all) where x.rank > 2:
      return byChannel(
        "GroupNormalization", node, normalization, [], [epsilon, .int("num_groups", 1)])
    case (.sample, .groups(let groups)) where x.rank > 2:
      return byChannel(
        "GroupNormalization", node, normalization, [], [epsilon, .int("num_groups", groups)])
    case (.position, .all):
      let order = x.order.last == x.rank - 1 ? x.order : AxisOrder.plain(x.rank)
      return operated(
        "LayerNormalization", node, normalization, order, [], [epsilon, .int("axis", -1)])
    default: return nil
    }
  }

  private func byChannel(
    _ type: String, _ node: Node, _ normalization: Normalization, _ given: [String],
    _ attributes: [ONNXAttributeProto]
  ) -> WrittenValue {
    let rank = graph.type(of: node.outputs[0]).rank
    return operated(
      type, node, normalization, AxisOrder.channelsFirst(rank), given, attributes)
  }

  /// An operator of (x, scale, shift, what is given); scale and shift are numbers of 1 and 0 where the normalization
  /// has none.
  private func operated(
    _ type: String, _ node: Node, _ normalization: Normalization, _ order: [Int],
    _ given: [String], _ attributes: [ONNXAttributeProto]
  ) -> WrittenValue {
    let at = NormalizationOperands(normalization)
    let result = graph.type(of: node.outputs[0])
    func vector(_ index: Int?, _ otherwise: Float) -> String {
      if let index { return name(operand(node, index)) }
      let channels = result.channelCount ?? 1
      return constantNode(ONNXTensorProto(Tensor(repeating: otherwise, shape: [channels])))
    }
    let names = [name(operand(node, 0), in: order), vector(at.scale, 1), vector(at.shift, 0)]
    return WrittenValue(emit(type, names + given, attributes)[0], order: order, result)
  }

  // MARK: compositions

  /// z = (x − c)/s.
  private func composed(
    _ node: Node, _ normalization: Normalization, _ whole: WrittenValue
  ) -> WrittenValue {
    let operation = normalization.operation
    let cells = CellAxes(whole.extents, normalization.partition)
    let x = reshaped(whole, to: cells.extents)
    let statistics = self.statistics(node, normalization, x, cells)
    let z = operation.centers ? combine("Sub", x, statistics.mean) : x
    let quotient =
      operation.divisor == .none
      ? z : combine("Div", z, divisor(operation, statistics))
    return reshaped(quotient, to: whole.extents)
  }

  /// What a normalization divides by, from statistics in the axes of x.
  private func divisor(
    _ operation: Normalization.Operation, _ statistics: CellStatistics
  ) -> WrittenValue {
    func meanSquare() -> WrittenValue {
      statistics.meanSquare
        ?? combine("Add", statistics.variance, combine("Mul", statistics.mean, statistics.mean))
    }
    let square: WrittenValue
    switch operation.divisor {
    case .none, .deviation(unbiased: false): square = statistics.variance
    case .deviation(unbiased: true):
      let sum = combine("Mul", statistics.variance, statistics.count)
      square = combine("Div", sum, apply("Sub", statistics.count, 1))
    case .rootMeanSquare: square = meanSquare()
    case .norm: square = combine("Mul", meanSquare(), statistics.count)
    }
    switch operation.placement {
    case .insideRoot: return apply("Sqrt", apply("Add", square, operation.epsilon))
    case .besideRoot: return apply("Add", apply("Sqrt", square), operation.epsilon)
    case .floor: return apply("Max", apply("Sqrt", square), operation.epsilon)
    }
  }

  /// The statistics that a normalization takes, with the axes of x.
  private func statistics(
    _ node: Node, _ normalization: Normalization, _ x: WrittenValue, _ cells: CellAxes
  ) -> CellStatistics {
    let at = NormalizationOperands(normalization)
    func raised(_ value: WrittenValue) -> WrittenValue {
      value.isNumber && value.rank == 0 ? value : reshaped(value, to: cells.kept)
    }
    switch normalization.statistics {
    case .current: return statistics(of: x, cells)
    case .given:
      return CellStatistics(
        mean: raised(operand(node, at.mean!)), variance: raised(operand(node, at.variance!)),
        count: number(1), cells: cells.kept)
    case .moments:
      let moments = statistics(behind: node.inputs[at.moments!])
      return CellStatistics(
        mean: raised(moments.mean), variance: raised(moments.variance),
        count: raised(moments.count), cells: cells.kept)
    }
  }

  /// γ·z + β.
  private func recovered(
    _ z: WrittenValue, _ node: Node, _ normalization: Normalization, of x: WrittenValue
  ) -> WrittenValue {
    let at = NormalizationOperands(normalization)
    func raised(_ value: WrittenValue) -> WrittenValue {
      guard normalization.recovery.extent == .samples else { return value }
      let ones = [Extent](repeating: 1, count: x.rank - 2)
      return reshaped(value, to: [x.extents[0]] + ones + [x.extents[x.rank - 1]])
    }
    var y = z
    if let index = at.scale { y = combine("Mul", y, raised(operand(node, index))) }
    if let index = at.shift { y = combine("Add", y, raised(operand(node, index))) }
    return y
  }
}
