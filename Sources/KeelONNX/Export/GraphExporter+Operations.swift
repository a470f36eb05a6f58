import KeelGraph
import KeelTensor

/// The operations that Keel writes.
extension GraphExporter {
  /// Why a node has no form in ONNX, or nil where it has one; empty where the operation is the reason.
  func refusal(of node: Node) -> String? {
    switch node.primitive {
    case .convolution(let geometry, _), .convolutionWithMoments(let geometry, _):
      geometry.axes.contains { $0.paddingAfter < 0 } ? "padding below 0" : nil
    case .normalization(let normalization): refusal(of: normalization.partition)
    case .moments(let partition, let isWeighted):
      isWeighted ? "weights of elements" : refusal(of: partition)
    case .blockMap(let map): map.blocks.rows == .sample ? "a matrix of each sample" : nil
    case .movement(let movement):
      movement.name == "resize" && graph.type(of: node.inputs[0]).elementType != .float32
        ? "of integers" : nil
    case .maxPoolingWithIndices(let geometry):
      refusal(of: geometry, indices: isTaken(node.outputs[1]))
    case .pooling(let geometry): refusal(of: geometry, indices: false)
    case .loss(let loss): refusal(of: loss, rank: graph.type(of: node.inputs[0]).rank)
    case .expand(let extents, true): refusal(ofDividing: node, extents)
    case .transposedConvolution, .linear, .mixedMoments, .activation, .concatenation,
      .transpose, .reshape, .detachment, .selection, .softmax, .logSoftmax, .fill, .arithmetic,
      .elementwise, .reduction, .expand, .parametricReLU, .constant, .choice:
      nil
    case .convolutionWeightGradient, .linearInputGradient, .linearWeightGradient,
      .normalizationGradient, .momentsGradient, .mixedMomentsGradient, .runningStatistics,
      .comoments, .comomentsGradient, .whitening, .whiteningGradient, .blockMapGradient,
      .runningComoments, .movingAverage, .activationGradient, .poolingGradient,
      .movementGradient, .selectionGradient, .softmaxGradient, .logSoftmaxGradient,
      .lossGradient, .arithmeticGradient, .extremeGradient, .parametricReLUGradient, .dropout:
      ""
    }
  }

  /// Writes a node: its results.
  func write(_ node: Node) -> [WrittenValue] {
    switch node.primitive {
    case .convolution(let geometry, let epilogue):
      return [convolution(node, geometry, epilogue)]
    case .convolutionWithMoments(let geometry, let epilogue):
      let y = convolution(node, geometry, epilogue)
      keep(moments(of: y, .batch), as: node.outputs[1])
      return [y]
    case .transposedConvolution(let geometry, let epilogue):
      return [transposedConvolution(node, geometry, epilogue)]
    case .linear(let epilogue): return [linear(node, epilogue)]
    case .normalization(let normalization): return [self.normalization(node, normalization)]
    case .moments(let partition, _):
      keep(moments(of: operand(node, 0), partition), as: node.outputs[0])
      return []
    case .mixedMoments(let mixture):
      keep(mixed(node, mixture), as: node.outputs[0])
      return []
    case .blockMap(let map): return [blockMap(node, map)]
    case .pooling(let geometry): return [pooling(node, geometry)]
    case .maxPoolingWithIndices(let geometry): return maxPoolingWithIndices(node, geometry)
    default: return [writeRearranged(node)]
    }
  }

  /// Operations that make each element from those at its place, or move elements.
  private func writeRearranged(_ node: Node) -> WrittenValue {
    let x = node.inputs.isEmpty ? nil : operand(node, 0)
    let type = graph.type(of: node.outputs[0])
    switch (node.primitive, x) {
    case (.activation(let activation), let x?): return apply(activation, x)
    case (.elementwise(let function), let x?): return apply(function, x)
    case (.arithmetic(let operation), let x?):
      return combine(operation.operatorName, x, operand(node, 1))
    case (.parametricReLU, let x?): return apply("PRelu", x, [aligned(operand(node, 1), with: x)])
    case (.reduction(let reduction), let x?):
      return reduce(
        reduction.kind.operatorName, x, axes: reduction.axes, keeps: reduction.keepsAxes)
    case (.softmax, let x?): return alongRows("Softmax", x)
    case (.logSoftmax, let x?): return alongRows("LogSoftmax", x)
    case (.movement(let movement), let x?): return moved(x, movement, type)
    case (.concatenation(let axis), _):
      return concatenated(node.inputs.map(value), axis: axis, type)
    case (.transpose(let permutation), let x?):
      let inverse = AxisOrder.inverse(permutation)
      return view(of: x, node, order: x.order.map { inverse[$0] }, type)
    case (.reshape(let extents), let x?):
      return reshaped(x, to: extents, isShared: isShared(node.outputs[0]))
    case (.detachment, let x?): return view(of: x, node, order: x.order, type)
    case (.selection, let x?):
      let indices = operand(node, 1)
      let names = [
        name(x, in: AxisOrder.plain(x.rank)), name(indices, in: AxisOrder.plain(indices.rank)),
      ]
      return WrittenValue(
        emit("Gather", names, [.int("axis", 0)])[0], order: AxisOrder.plain(type.rank), type)
    case (.fill(let value, let extents), _): return filled(value, extents)
    case (.constant(let value), _): return constant(value)
    case (.loss(let loss), let x?): return self.loss(node, loss, x)
    case (.choice, let condition?): return choice(node, condition)
    case (.expand(let extents, let divides), let x?): return expanded(x, extents, divides)
    default: preconditionFailure("\(node.primitive.name) was not refused")
    }
  }

  private func constant(_ value: TensorValue) -> WrittenValue {
    let tensor: ONNXTensorProto
    switch value {
    case .float32(let floats): tensor = ONNXTensorProto(floats)
    case .int64(let integers):
      tensor = ONNXTensorProto(integers.elements.map { Int($0) }, integers.shape.extents)
    case .bool(let truth): tensor = ONNXTensorProto(truth.elements, truth.shape.extents)
    }
    return WrittenValue(
      constantNode(tensor), order: AxisOrder.plain(value.shape.rank),
      ValueType(value.elementType, shape: value.shape))
  }

  private func choice(_ node: Node, _ condition: WrittenValue) -> WrittenValue {
    let (a, b) = (operand(node, 1), operand(node, 2))
    var holds = aligned(condition, with: a)
    if condition.type.elementType != .bool {
      holds = emit("Cast", [holds], [.int("to", Int(ONNXElementType.bool.rawValue))])[0]
    }
    return WrittenValue(
      emit("Where", [holds, name(a), name(b, in: a.order)])[0], order: a.order, a.type)
  }

  /// The same elements under another order on paper.
  private func view(
    of x: WrittenValue, _ node: Node, order: [Int], _ type: ValueType
  ) -> WrittenValue {
    var view = x
    view.order = order
    view.type = type
    view.isShared = x.isShared || isShared(node.outputs[0])
    return view
  }

  private func alongRows(_ type: String, _ x: WrittenValue) -> WrittenValue {
    apply(type, x, [], [.int("axis", x.position(ofAxis: x.rank - 1))])
  }

  private func filled(_ value: Float, _ extents: [Extent]) -> WrittenValue {
    let order = AxisOrder.plain(extents.count)
    if extents.allSatisfy({ $0 == 1 }) {
      let tensor = Tensor(repeating: value, shape: Shape(extents.map { _ in 1 }))
      return WrittenValue(
        constantNode(ONNXTensorProto(tensor)), order: order, ValueType(extents))
    }
    let element = ONNXTensorProto(Tensor(repeating: value, shape: [1]))
    return WrittenValue(
      emit("ConstantOfShape", [shape(extents)], [.tensor("value", element)])[0], order: order,
      ValueType(extents))
  }

  /// The number of copies that an expansion makes of each element; nil where that is open.
  private func copies(_ old: [Extent], _ new: [Extent]) -> Int? {
    let missing = new.count - old.count
    let grown = new.indices.filter { $0 < missing || old[$0 - missing] != new[$0] }
    return grown.reduce(1) { product, axis in
      guard let product, let extent = new[axis].fixedValue else { return nil }
      return product * extent
    }
  }

  private func refusal(ofDividing node: Node, _ extents: [Extent]) -> String? {
    copies(graph.type(of: node.inputs[0]).extents, extents) == nil
      ? "a division by an open number of copies" : nil
  }

  private func expanded(_ x: WrittenValue, _ extents: [Extent], _ divides: Bool) -> WrittenValue {
    let y = expanded(x, to: extents)
    guard divides, let copies = copies(x.extents, extents) else { return y }
    return apply("Div", y, Float(copies))
  }
}

extension Arithmetic {
  fileprivate var operatorName: String {
    switch self {
    case .add: "Add"
    case .subtract: "Sub"
    case .multiply: "Mul"
    case .divide: "Div"
    case .maximum: "Max"
    case .minimum: "Min"
    case .power: "Pow"
    }
  }
}

extension Reduction.Kind {
  var operatorName: String {
    switch self {
    case .sum: "ReduceSum"
    case .mean: "ReduceMean"
    case .maximum: "ReduceMax"
    case .minimum: "ReduceMin"
    case .absoluteSum: "ReduceL1"
    case .euclideanNorm: "ReduceL2"
    }
  }
}
