internal import CKeelLoops
internal import KeelTensor

/// A copy of the input rows that a block of output pixels sees, with the padding written out.
///
/// With three channels a tap is 12 bytes: too short for a loop of its own. In the strip nothing lies
/// outside, so that all taps of a row of the window are one contiguous run. The copy costs little
/// because the channels are few.
internal struct SourceStrip: Sendable {
  /// A block of output pixels of one image, which follow each other: whole lines, or a part of one.
  struct Block: Hashable, Sendable {
    let image: Int
    let lines: Range<Int>
    let columns: Range<Int>
    var count: Int { lines.count * columns.count }
  }

  /// The runs of a window on the strip.
  let window: Window
  private let source: Window
  private let batch: Int
  /// Cuts of an image's lines, and of a line where one is a block of its own.
  private let lines: RowTiles, columns: RowTiles
  /// The smallest offsets of a tap, the rows and columns that a window spans, and the pixels of a row of
  /// the strip.
  private let top: Int, left: Int, height: Int, span: Int, pitch: Int

  /// Nil where the taps of a row are no contiguous run.
  /// - Precondition: the window sees all channels of a pixel.
  /// - Parameter pixels: the wanted pixels of a block.
  init?(_ source: Window, batch: Int, pixels: Int) {
    let (leaf, taps) = (source.leaf, source.taps)
    guard let first = taps.first, let last = taps.last, source.isFlat else { return nil }
    self.source = source
    self.batch = batch
    columns = RowTiles(rows: leaf.gridWidth, target: max(pixels, 1))
    lines = RowTiles(
      rows: leaf.gridHeight,
      target: columns.count > 1 ? 1 : max(1, pixels / max(1, leaf.gridWidth)))
    (top, left) = (first.y, first.x)
    height = last.y - top + 1
    span = last.x - left + 1
    pitch = (columns.largest - 1) * leaf.stepX + span
    window = source.moved(
      taps: taps.map { ($0.y - first.y, $0.x - first.x) }, height: height, width: pitch)
    let rows = Set(taps.map(\.y)).count
    guard window.leaf.runCount == rows, taps.count % rows == 0, taps.count / rows > 1 else {
      return nil
    }
    for run in 0..<rows where window.leaf.runTaps[run] != taps.count / rows { return nil }
  }

  /// The blocks of a batch.
  var blockCount: Int { batch * lines.count * columns.count }
  /// The pixels of the largest block.
  var largest: Int { lines.largest * columns.largest }
  /// The floats of the largest strip.
  var count: Int { (rows(of: lines.largest) * pitch * source.leaf.channels + 31) / 16 * 16 }

  private func rows(of lines: Int) -> Int { (lines - 1) * source.leaf.stepY + height }

  func block(_ number: Int) -> Block {
    let (rest, column) = number.quotientAndRemainder(dividingBy: columns.count)
    let (image, line) = rest.quotientAndRemainder(dividingBy: lines.count)
    return Block(image: image, lines: lines[line], columns: columns[column])
  }

  /// The positions of a block, counted over the batch.
  func positions(_ block: Block) -> Range<Int> {
    let line = block.image * source.leaf.gridHeight + block.lines.lowerBound
    let first = line * source.leaf.gridWidth + block.columns.lowerBound
    return first..<first + block.count
  }

  /// Copies what a block sees to `memory`, and writes the addresses of its windows' runs.
  func locate(
    _ table: UnsafeMutablePointer<UnsafePointer<Float>?>, _ block: Block,
    source x: UnsafePointer<Float>, in memory: UnsafeMutablePointer<Float>
  ) {
    let leaf = source.leaf
    let channels = leaf.channels
    let image = x + block.image * source.heldPixels * leaf.sourceStride
    let firstRow = block.lines.lowerBound * leaf.stepY + top
    let firstColumn = block.columns.lowerBound * leaf.stepX + left
    let width = (block.columns.count - 1) * leaf.stepX + span
    let low = max(0, min(width, -firstColumn))
    let high = max(low, min(width, leaf.sourceWidth - firstColumn))
    let rows = rows(of: block.lines.count)
    var row = memory
    for y in firstRow..<firstRow + rows {
      if let line = source.heldRow(y) {
        row.update(repeating: 0, count: low * channels)
        source.forEachStretch(of: firstColumn + low..<firstColumn + high) { columns, held in
          let to = row + (columns.lowerBound - firstColumn) * channels
          if let held {
            copyPixels(
              from: image + (line + held) * leaf.sourceStride, to: to, count: columns.count)
          } else {
            to.update(repeating: 0, count: columns.count * channels)
          }
        }
        (row + high * channels).update(repeating: 0, count: (width - high) * channels)
      } else {
        row.update(repeating: 0, count: width * channels)
      }
      row += pitch * channels
    }
    var strip = window.leaf
    strip.sourceHeight = rows
    strip.gridHeight = block.lines.count
    strip.gridWidth = block.columns.count
    withUnsafePointer(to: strip) {
      loops.locate(
        table, block.count, memory, memory, $0, 0, strip.runCount, 0, block.count)
    }
  }
  private func copyPixels(
    from x: UnsafePointer<Float>, to strip: UnsafeMutablePointer<Float>, count: Int
  ) {
    let (channels, stride) = (source.leaf.channels, source.leaf.sourceStride)
    if channels == stride { return strip.update(from: x, count: count * channels) }
    for pixel in 0..<count {
      (strip + pixel * channels).update(from: x + pixel * stride, count: channels)
    }
  }
}
