import KeelGraph
import KeelTensor

/// Linear maps of blocks of channels.
extension GraphExporter {
  /// Gemm for vectors and one block, otherwise a convolution of one tap whose groups are the blocks; a smaller last
  /// block is one by itself. The centre is subtracted before, as near 10⁴ no sum with the shift would do.
  func blockMap(_ node: Node, _ map: BlockMap) -> WrittenValue {
    var x = operand(node, 0)
    if map.centers {
      let centre = operand(node, 1)
      for row in [row(centre, 0), row(centre, 1)] where !isZero(row) { x = combine("Sub", x, row) }
    }
    let matrix = operand(node, map.matrixOperand)
    let (channels, size) = (x.type.channelCount!, map.blocks.size)
    let full = channels / size * size
    var y: WrittenValue
    if full == channels {
      y = mapped(x, matrix)
    } else {
      let axis = x.rank - 1
      let first = mapped(
        sliced(x, axis: axis, start: 0, count: full),
        sliced(matrix, axis: 1, start: 0, count: full))
      let rest = channels - full
      let last = mapped(
        sliced(x, axis: axis, start: full, count: rest),
        sliced(sliced(matrix, axis: 1, start: full, count: rest), axis: 0, start: 0, count: rest))
      y = concatenated([first, last], axis: axis, x.type)
    }
    if let index = map.shiftOperand { y = combine("Add", y, operand(node, index)) }
    return y
  }

  /// Whether a computed constant is 0 throughout, as what running means leave over is.
  private func isZero(_ value: WrittenValue) -> Bool {
    value.isComputed && value.constant?.elements.allSatisfy { $0 == 0 } ?? false
  }

  /// x by a matrix d×C of blocks that divide the channels.
  private func mapped(_ x: WrittenValue, _ matrix: WrittenValue) -> WrittenValue {
    let (size, channels) = (matrix.extents[0], x.extents[x.rank - 1])
    if x.rank == 2, size == channels {
      return WrittenValue(
        emit("Gemm", [name(x, in: [0, 1]), name(matrix, in: [0, 1])])[0], order: [0, 1], x.type)
    }
    // Vectors are sequences of one position.
    let map = x.rank > 2 ? x : reshaped(x, to: [x.extents[0], 1, channels])
    let ones = [Extent](repeating: 1, count: map.rank - 2)
    var turned = matrix
    turned.order = matrix.order.map { 1 - $0 }
    turned.type = ValueType([channels, size])
    let weight = reshaped(turned, to: [channels] + ones + [size])
    let order = AxisOrder.channelsFirst(map.rank)
    let groups = (channels.fixedValue ?? 1) / (size.fixedValue ?? 1)
    let attributes: [ONNXAttributeProto] = [
      .ints("kernel_shape", ones.map { _ in 1 }), .int("group", groups),
    ]
    let y = emit("Conv", [name(map, in: order), name(weight, in: order)], attributes)[0]
    return reshaped(WrittenValue(y, order: order, map.type), to: x.extents)
  }
}
