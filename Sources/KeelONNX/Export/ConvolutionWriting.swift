import KeelGraph
import KeelTensor

/// Convolutions, transposed or not, and linear layers.
extension GraphExporter {
  /// Conv N×Cin×… by Cout×Cin/G×…; of one tap, and with channels in the last place in the model, MatMul.
  func convolution(
    _ node: Node, _ geometry: ConvolutionGeometry, _ epilogue: Epilogue
  ) -> WrittenValue {
    let x = operand(node, 0)
    if geometry.isPointwise, geometry.groups == 1, x.order == AxisOrder.plain(x.rank) {
      return rows(node, geometry, epilogue)
    }
    let attributes: [ONNXAttributeProto] = [
      .ints("kernel_shape", geometry.axes.map(\.window)),
      .ints("strides", geometry.axes.map(\.stride)),
      .ints("pads", geometry.axes.map(\.paddingBefore) + geometry.axes.map(\.paddingAfter)),
      .ints("dilations", geometry.axes.map(\.dilation)), .int("group", geometry.groups),
    ]
    return windowed("Conv", node, attributes, epilogue)
  }

  /// ConvTranspose N×C×… by C×C′/G×…: the result of a geometry's input extents. Where these leave a whole stride or
  /// more behind the last tap, zeros are put there and the bias added to them, too.
  func transposedConvolution(
    _ node: Node, _ geometry: ConvolutionGeometry, _ epilogue: Epilogue
  ) -> WrittenValue {
    let after = geometry.axes.map { max($0.paddingAfter, 0) }
    // What strides with this padding leave of the result.
    let rest = zip(geometry.axes, after).map { axis, after in
      axis.input - (axis.output - 1) * axis.stride - axis.extent + axis.paddingBefore + after
    }
    let leavesStrides = zip(geometry.axes, rest).contains { $0.stride <= $1 }
    let attributes: [ONNXAttributeProto] = [
      .ints("kernel_shape", geometry.axes.map(\.window)),
      .ints("strides", geometry.axes.map(\.stride)),
      .ints("pads", geometry.axes.map(\.paddingBefore) + after),
      .ints("dilations", geometry.axes.map(\.dilation)), .int("group", geometry.groups),
    ]
    if leavesStrides { return extended(node, geometry, epilogue, attributes) }
    return windowed(
      "ConvTranspose", node, attributes + [.ints("output_padding", rest)], epilogue)
  }

  /// ConvTranspose of all that taps reach, but for the padding before it; what a result has beyond that is put there
  /// as zeros.
  private func extended(
    _ node: Node, _ geometry: ConvolutionGeometry, _ epilogue: Epilogue,
    _ attributes: [ONNXAttributeProto]
  ) -> WrittenValue {
    let whole = graph.type(of: node.outputs[0])
    // Positions that the result has more than taps reach, or fewer.
    let surplus = geometry.axes.map { axis in
      axis.input - (axis.output - 1) * axis.stride - axis.extent + axis.paddingBefore
    }
    let movement = Movement(
      [.whole] + surplus.map { .pad(before: 0, after: max($0, 0), .zeros) } + [.whole])
    var part = whole
    for (k, axis) in geometry.axes.enumerated() {
      part.extents[k + 1] = .fixed(axis.input - max(surplus[k], 0))
    }
    let pads = geometry.axes.map(\.paddingBefore) + surplus.map { max(-$0, 0) }
    let attributes = attributes.filter { $0.name != "pads" } + [.ints("pads", pads)]
    let order = AxisOrder.channelsFirst(whole.rank)
    let names = [name(operand(node, 0), in: order), name(operand(node, 1), in: order)]
    let y = WrittenValue(emit("ConvTranspose", names, attributes)[0], order: order, part)
    var padded = moved(y, movement, whole)
    if epilogue.hasBias { padded = combine("Add", padded, operand(node, 2)) }
    return finished(padded, node, epilogue)
  }

  private func windowed(
    _ type: String, _ node: Node, _ attributes: [ONNXAttributeProto], _ epilogue: Epilogue
  ) -> WrittenValue {
    let result = graph.type(of: node.outputs[0])
    let order = AxisOrder.channelsFirst(result.rank)
    var names = [name(operand(node, 0), in: order), name(operand(node, 1), in: order)]
    if epilogue.hasBias { names.append(name(operand(node, 2))) }
    let y = WrittenValue(emit(type, names, attributes)[0], order: order, result)
    return finished(y, node, epilogue)
  }

  private func finished(_ y: WrittenValue, _ node: Node, _ epilogue: Epilogue) -> WrittenValue {
    let residual = epilogue.hasResidual ? operand(node, node.inputs.count - 1) : nil
    return finished(y, residual: residual, epilogue.activation)
  }

  /// The last axis by a weight of Cout×1×…×Cin.
  private func rows(
    _ node: Node, _ geometry: ConvolutionGeometry, _ epilogue: Epilogue
  ) -> WrittenValue {
    let x = operand(node, 0)
    let weight = reshaped(
      operand(node, 1),
      to: [.fixed(geometry.outputChannels), .fixed(geometry.inputChannels)])
    var y = WrittenValue(
      emit("MatMul", [name(x), name(weight, in: [1, 0])])[0], order: x.order,
      graph.type(of: node.outputs[0]))
    if epilogue.hasBias { y = combine("Add", y, operand(node, 2)) }
    return finished(y, node, epilogue)
  }

  /// Gemm of N×in by out×in, whose operands may stand turned round in the model.
  func linear(_ node: Node, _ epilogue: Epilogue) -> WrittenValue {
    let (x, weight) = (operand(node, 0), operand(node, 1))
    var names = [name(x), name(weight)]
    if epilogue.hasBias { names.append(name(operand(node, 2))) }
    var attributes: [ONNXAttributeProto] = []
    if x.order == [1, 0] { attributes.append(.int("transA", 1)) }
    if weight.order == [0, 1] { attributes.append(.int("transB", 1)) }
    let y = WrittenValue(
      emit("Gemm", names, attributes)[0], order: [0, 1], graph.type(of: node.outputs[0]))
    return finished(y, node, epilogue)
  }
}
