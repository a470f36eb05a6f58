/// Rows cut into tiles of nearly equal size; the cut depends on the sizes only.
package struct RowTiles: Hashable, Sendable {
  package let rows: Int
  package let count: Int

  package init(rows: Int, target: Int) {
    self.rows = rows
    count = rows == 0 ? 0 : (rows + target - 1) / target
  }

  /// So many tiles, or as many as there are rows.
  package init(rows: Int, count: Int) {
    self.rows = rows
    self.count = min(rows, count)
  }

  /// The largest tile.
  package var largest: Int { count == 0 ? 0 : (rows + count - 1) / count }

  package subscript(tile: Int) -> Range<Int> {
    let (size, extra) = rows.quotientAndRemainder(dividingBy: count)
    let first = tile * size + min(tile, extra)
    return first..<first + size + (tile < extra ? 1 : 0)
  }
}
