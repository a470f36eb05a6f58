package import KeelTensor

/// Puts tensors one after another along an axis. Copies bits.
///
/// Aliasing: y must not overlap an operand that is copied. Cost: one pass over those.
package struct ConcatenationKernel: Sendable {
  /// The part of y that one operand fills, for each position before the axis.
  private struct Part {
    let operand: Int
    /// Rows of the operand, of so many floats, and the distances between them in it and in y.
    let rows: Int, width: Int, sourceStride: Int, targetStride: Int
    /// Where the part starts in that of all operands.
    let offset: Int

    var isContiguous: Bool { rows == 1 || (sourceStride == width && targetStride == width) }
  }

  private let parts: [Part]
  /// Floats of y from one position before the axis to the next.
  private let step: Int
  private let tiles: RowTiles
  private let work: Int

  /// - Parameters:
  ///   - copied: the operands that are copied; the others are in their places.
  ///   - inputStrides: floats from one row of each operand to the next, nil where rows follow each other.
  ///   - outputStride: likewise of y.
  package init(
    inputs: [Shape], axis: Int, copied: [Int], inputStrides: [Int?], outputStride: Int?
  ) {
    let isLast = axis == inputs[0].rank - 1
    let channels = inputs[0].channelCount
    let length = inputs.reduce(0) { $0 + $1.extents[axis...].reduce(1, *) }
    let targetStride = outputStride ?? (isLast ? length : channels)
    var parts: [Part] = []
    var offset = 0
    for (operand, shape) in inputs.enumerated() {
      let rows = isLast ? 1 : shape.extents[axis..<shape.rank - 1].reduce(1, *)
      let width = shape.channelCount
      if copied.contains(operand) {
        parts.append(
          Part(
            operand: operand, rows: rows, width: width,
            sourceStride: inputStrides[operand] ?? width, targetStride: targetStride,
            offset: offset))
      }
      offset += isLast ? width : rows * targetStride
    }
    self.parts = parts
    step = isLast ? targetStride : offset
    let positions = inputs[0].extents[..<axis].reduce(1, *)
    tiles = RowTiles(rows: positions, target: max(1, 16_384 / max(1, length)))
    work = positions * parts.reduce(0) { $0 + $1.rows * $1.width }
  }

  /// - Parameter operand: the address of an operand by its position.
  package func run(
    _ operand: (Int) -> UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    parallelism: Parallelism
  ) {
    parallelism.forEach(tiles.count * parts.count, work: work) { task, _ in
      let part = parts[task % parts.count]
      let source = operand(part.operand)
      for position in tiles[task / parts.count] {
        copy(
          part, from: source + position * part.rows * part.sourceStride,
          to: y + position * step + part.offset)
      }
    }
  }

  private func copy(
    _ part: Part, from source: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>
  ) {
    if part.isContiguous {
      target.update(from: source, count: part.rows * part.width)
      return
    }
    for row in 0..<part.rows {
      (target + row * part.targetStride).update(
        from: source + row * part.sourceStride, count: part.width)
    }
  }
}
