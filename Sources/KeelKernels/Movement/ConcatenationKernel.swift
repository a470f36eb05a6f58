package import KeelTensor

/// Puts tensors one after another along an axis. Copies bits.
///
/// Aliasing: y must not overlap an operand. Cost: one pass.
package struct ConcatenationKernel: Sendable {
  /// Floats of each operand in one row of y: extents from the axis on.
  private let lengths: [Int]
  /// Where each operand's part of a row of y starts.
  private let offsets: [Int]
  private let length: Int
  private let tiles: RowTiles
  private let rows: Int

  package init(inputs: [Shape], axis: Int) {
    lengths = inputs.map { $0.extents[axis...].reduce(1, *) }
    var offsets: [Int] = []
    var total = 0
    for length in lengths {
      offsets.append(total)
      total += length
    }
    self.offsets = offsets
    length = total
    rows = inputs[0].extents[..<axis].reduce(1, *)
    tiles = RowTiles(rows: rows, target: max(1, 16_384 / max(1, total)))
  }

  /// - Parameter operand: the address of an operand by its position.
  package func run(
    _ operand: (Int) -> UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    parallelism: Parallelism
  ) {
    parallelism.forEach(tiles.count * lengths.count, work: rows * length) { task, _ in
      let position = task % lengths.count
      let (source, count) = (operand(position), lengths[position])
      for row in tiles[task / lengths.count] {
        (y + row * length + offsets[position]).update(from: source + row * count, count: count)
      }
    }
  }
}
