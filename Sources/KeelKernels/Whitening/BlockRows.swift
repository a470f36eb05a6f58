internal import CKeelLoops
internal import KeelTensor

/// The rows and blocks of channels of a tensor, cut into parts with sums of their own and tiles that stay in a
/// cache. The cut depends on the sizes only, so that results are bitwise the same for any number of threads.
internal struct BlockRows: Sendable {
  let blocks: ChannelBlocks
  /// The number of cells, 1 or that of samples.
  let cells: Int
  /// The rows of each.
  let rows: Int
  let channels: Int
  let blockCount: Int
  /// The parts that the rows of each cell are cut into.
  let parts: RowTiles
  /// The tiles that the rows of each cell are cut into.
  let tiles: RowTiles

  /// Rows that are centred and multiplied at a time: a multiple of the rows of every register tile.
  static let rowsAtOnce = 96
  /// The most parts of all cells, unless there are more cells.
  private static let mostParts = 16

  init(_ blocks: ChannelBlocks, of shape: Shape) {
    self.blocks = blocks
    cells = blocks.rows == .all ? 1 : shape[0]
    rows = cells == 0 ? 0 : shape.rowCount / cells
    channels = shape.channelCount
    blockCount = blocks.count(of: channels)
    let most = max(1, Self.mostParts / max(cells, 1))
    parts = RowTiles(rows: rows, target: max(4 * Self.rowsAtOnce, (rows + most - 1) / most))
    tiles = RowTiles(rows: rows, target: 4 * Self.rowsAtOnce)
  }

  /// The work of a product of every row with its blocks' matrices, in multiply-adds.
  var work: Int { cells * rows * channels * blocks.size / 8 }

  /// Floats of a row of a block, padded to whole vectors.
  static func padded(_ count: Int) -> Int {
    let width = loops.width
    return (count + width - 1) / width * width
  }
  var paddedSize: Int { Self.padded(blocks.size) }
  /// Floats from one row of a table to the next.
  var tableStep: Int { cells * channels }
  /// Floats of the packed matrices of all blocks of one cell.
  var packedCount: Int { blockCount * blocks.size * paddedSize }

  func range(of block: Int) -> Range<Int> { blocks.channels(of: block, in: channels) }

  /// Runs a closure on rows at once of a range.
  func forEachTile(in rows: Range<Int>, _ body: (_ first: Int, _ count: Int) -> Void) {
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: Self.rowsAtOnce) {
      body(first, min(Self.rowsAtOnce, rows.upperBound - first))
    }
  }

  /// Packs B, `order`×`order` with B[k, j] = matrix[k·kStep + j·columnStep], into panels.
  static func pack(
    _ matrix: UnsafePointer<Float>, order: Int, kStep: Int, columnStep: Int,
    into packed: UnsafeMutablePointer<Float>
  ) {
    let panel = loops.panel * loops.width
    for first in stride(from: 0, to: order, by: panel) {
      loops.packPanel(
        packed + first * order, matrix + first * columnStep, order, kStep,
        min(panel, order - first), columnStep)
    }
  }

  /// y = x·B for some rows, with B packed.
  static func multiply(
    _ y: UnsafeMutablePointer<Float>, yStep: Int, _ x: UnsafePointer<Float>, xStep: Int, rows: Int,
    _ packed: UnsafePointer<Float>, order: Int
  ) {
    let panel = loops.panel * loops.width
    for first in stride(from: 0, to: order, by: panel) {
      loops.pixelProduct(
        y + first, yStep, x, xStep, rows, order, packed + first * order, min(panel, order - first))
    }
  }
}
