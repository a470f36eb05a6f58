internal import CKeelLoops
package import KeelTensor

/// Rows of a table by index, and the sums of rows by index that are its gradient.
///
/// Aliasing: results must not overlap operands. Cost: one pass over what is selected.
package struct SelectionKernel: Sendable {
  private let rows: Int
  private let rowLength: Int
  private let count: Int

  /// - Parameters:
  ///   - rows: the rows of the table.
  ///   - rowLength: the floats of each.
  ///   - count: the number of indices.
  package init(rows: Int, rowLength: Int, count: Int) {
    self.rows = rows
    self.rowLength = rowLength
    self.count = count
  }

  /// Checks the indices, which a run brings.
  /// - Throws: `KeelError` of kind `value` for an index of no row.
  package func check(_ indices: UnsafePointer<Int64>, at place: String) throws(KeelError) {
    for i in 0..<count where !(0..<Int64(rows)).contains(indices[i]) {
      throw KeelError(
        .value, at: place, expected: "indices from 0 to \(rows - 1)",
        found: "\(indices[i]) at position \(i)")
    }
  }

  /// y[i] = table[indices[i]]. Copies bits.
  /// - Precondition: the indices are checked.
  package func run(
    _ table: UnsafePointer<Float>, _ indices: UnsafePointer<Int64>,
    into y: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let tiles = RowTiles(rows: count, target: max(1, 16_384 / max(1, rowLength)))
    parallelism.forEach(tiles.count, work: count * rowLength) { task, _ in
      for i in tiles[task] {
        (y + i * rowLength).update(from: table + Int(indices[i]) * rowLength, count: rowLength)
      }
    }
  }

  /// dTable[r] = Σ dy[i] over the i whose index is r, added in rising order of i.
  ///
  /// Tasks are slices of the rows' length, so that each element is added up by one task in that order.
  /// - Precondition: the indices are checked.
  package func gradient(
    _ dy: UnsafePointer<Float>, _ indices: UnsafePointer<Int64>,
    into dTable: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    dTable.update(repeating: 0, count: rows * rowLength)
    let width = 256
    parallelism.forEach((rowLength + width - 1) / width, work: 2 * count * rowLength) { task, _ in
      let first = task * width
      let length = min(width, rowLength - first)
      for i in 0..<count {
        let sum = dTable + Int(indices[i]) * rowLength + first
        var a = KeelBroadcast(values: UnsafePointer(sum), row: length, step: 1)
        var b = KeelBroadcast(values: dy + i * rowLength + first, row: length, step: 1)
        loops.arithmetic(Int32(KEEL_ADD), sum, &a, &b, 1, length)
      }
    }
  }
}
