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

  /// Rows that are centred and multiplied at a time: a multiple of the rows of a register tile, and about 48 kB.
  let rowsAtOnce: Int
  /// The most parts of all cells, unless there are more cells.
  private static let mostParts = 16

  init(_ blocks: ChannelBlocks, of shape: Shape) {
    self.blocks = blocks
    cells = blocks.rows == .all ? 1 : shape[0]
    rows = cells == 0 ? 0 : shape.rowCount / cells
    channels = shape.channelCount
    blockCount = blocks.count(of: channels)
    rowsAtOnce = max(1, min(8, 1024 / max(1, Self.padded(channels)))) * 12
    let most = max(1, Self.mostParts / max(cells, 1))
    parts = RowTiles(rows: rows, target: max(384, (rows + most - 1) / most))
    tiles = RowTiles(rows: rows, target: 384)
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
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: rowsAtOnce) {
      body(first, min(rowsAtOnce, rows.upperBound - first))
    }
  }

  /// Elements of x.
  var elementCount: Int { cells * rows * channels }
  var paddedChannels: Int { Self.padded(channels) }
  /// Floats of the rows at once, padded to whole vectors.
  var tileCount: Int { rowsAtOnce * paddedChannels }

  /// Packs a block's matrix, B[k, j] = matrix[k·kStep + j·columnStep], into the panels of its place.
  /// - Parameters:
  ///   - part: its number among the matrices of the block that stand one below the other.
  ///   - factor: their number.
  func pack(
    _ matrix: UnsafePointer<Float>, _ block: Int, kStep: Int, columnStep: Int,
    into packed: UnsafeMutablePointer<Float>, part: Int = 0, of factor: Int = 1
  ) {
    let order = range(of: block).count
    let panel = loops.panel * loops.width
    for first in stride(from: 0, to: order, by: panel) {
      let columns = min(panel, order - first)
      let place = (factor * first + part * Self.padded(columns)) * order
      loops.packPanel(
        packed + factor * block * blocks.size * paddedSize + place, matrix + first * columnStep,
        order, kStep, columns, columnStep)
    }
  }

  /// A part of what is brought nearer while products are computed, so that memory works meanwhile.
  struct Share {
    let part: Int
    let count: Int
  }

  /// Brings a share of the rows at once that begin at a row of a cell nearer.
  func fetch(_ x: UnsafePointer<Float>, _ share: Share, of cell: Int, from row: Int) {
    let all = min(rowsAtOnce, rows - row) * channels
    let size = ((rowsAtOnce * channels + share.count - 1) / share.count + 15) & ~15
    let first = share.part * size
    guard first < all else { return }
    loops.fetch(x + (cell * rows + row) * channels + first, min(size, all - first))
  }

  /// What is brought nearer while rows are multiplied: the rows at once that come next.
  struct Near {
    var x: UnsafePointer<Float>
    /// With the second operand.
    var more: UnsafePointer<Float>?
    var count: Int
  }

  /// The rows at once of tensors that begin at a row of a cell, if there are any.
  func near(
    _ x: UnsafePointer<Float>, _ more: UnsafePointer<Float>? = nil, of cell: Int, from row: Int
  ) -> Near {
    let start = (cell * rows + row) * channels
    return Near(
      x: x + start, more: more.map { $0 + start },
      count: max(0, min(rowsAtOnce, rows - row)) * channels)
  }

  /// Rows of a product that are computed for all blocks before the next: a multiple of those of the register
  /// tiles.
  private static let rowsOfProduct = 12

  /// y = x·B + more·B′ + shift + residual for some rows, each block with its own packed matrices; rows of x are
  /// padded, those of the other tensors are not.
  /// - Parameters:
  ///   - more: a second operand; B′ then stands below B.
  ///   - streams: whether y goes past the caches.
  func multiply(
    _ x: UnsafePointer<Float>, _ packed: UnsafePointer<Float>, rows: Int,
    more: UnsafePointer<Float>? = nil, shift: UnsafePointer<Float>? = nil,
    residual: UnsafePointer<Float>? = nil, into y: UnsafeMutablePointer<Float>, streams: Int32,
    near: Near
  ) {
    let panel = loops.panel * loops.width
    let factor = more == nil ? 1 : 2
    for row in stride(from: 0, to: rows, by: Self.rowsOfProduct) {
      let count = min(Self.rowsOfProduct, rows - row)
      for block in 0..<blockCount {
        let range = range(of: block)
        let own = packed + factor * block * blocks.size * paddedSize
        for first in stride(from: 0, to: range.count, by: panel) {
          let columns = min(panel, range.count - first)
          let column = range.lowerBound + first
          let place = row * channels + column
          // A part of what is near that belongs to these products alone.
          let part = row * channels + count * column
          var map = KeelBlockMap(
            y: y + place, x: x + row * paddedChannels + range.lowerBound,
            more: more.map { $0 + row * channels + range.lowerBound },
            shift: shift.map { $0 + column }, residual: residual.map { $0 + place },
            yStep: channels, xStep: paddedChannels, depth: range.count,
            b: own + factor * first * range.count, streams: streams, near: near.x + part,
            nearMore: near.more.map { $0 + part },
            lines: max(0, min(count * columns, near.count - part)) / Self.line)
          loops.mapRows(&map, count, columns)
        }
      }
    }
    if streams != 0 { loops.drain() }
  }

  /// Floats of a line of the caches.
  private static let line = 16
}
