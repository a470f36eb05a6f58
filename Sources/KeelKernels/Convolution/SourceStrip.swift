internal import CKeelLoops
internal import KeelTensor

/// A copy of the input rows that some rows of output pixels see, with the padding written out.
///
/// With three channels a tap is 12 bytes: too short for a loop of its own. In the strip nothing lies
/// outside, so that all taps of a row of the window are one contiguous run. The copy costs little
/// because the channels are few.
internal struct SourceStrip: Sendable {
  /// The window on the strip of the largest tile.
  let window: Window
  /// The floats of one image of the source.
  let imageCount: Int
  private let source: Window
  /// The smallest offsets of a tap, and the pixels of a row of the strip.
  private let top: Int, left: Int, width: Int
  /// Rows from the first tap to the last.
  private let height: Int

  /// Nil where the taps of a row are no contiguous run.
  init?(_ source: Window) {
    let (leaf, taps) = (source.leaf, source.taps)
    guard leaf.channels == leaf.sourceStride, let first = taps.first, let last = taps.last,
      source.isFlat
    else { return nil }
    (top, left) = (first.y, first.x)
    height = last.y - top + 1
    width = (leaf.gridWidth - 1) * leaf.stepX + last.x - left + 1
    imageCount = leaf.sourceHeight * leaf.sourceWidth * leaf.sourceStride
    self.source = source
    window = source.moved(
      taps: taps.map { ($0.y - first.y, $0.x - first.x) }, height: height, width: width)
    let rows = Set(taps.map(\.y)).count
    guard window.leaf.runCount == rows, taps.count % rows == 0, taps.count / rows > 1,
      (0..<window.leaf.runCount).allSatisfy({ window.leaf.runTaps[$0] == taps.count / rows })
    else { return nil }
  }

  private func height(rows: Int) -> Int { (rows - 1) * source.leaf.stepY + height }

  /// The floats of a strip for some rows of pixels.
  func count(rows: Int) -> Int {
    (height(rows: rows) * width * source.leaf.channels + 31) / 16 * 16
  }

  /// Copies what `rows` of one image's pixels see to `memory`, and writes the addresses of their windows.
  func locate(
    _ table: UnsafeMutablePointer<UnsafePointer<Float>?>, rows: Range<Int>,
    image: UnsafePointer<Float>, in memory: UnsafeMutablePointer<Float>
  ) {
    let leaf = source.leaf
    let channels = leaf.channels
    let firstLine = rows.lowerBound * leaf.stepY + top
    let low = max(0, min(width, -left))
    let high = max(low, min(width, leaf.sourceWidth - left))
    var line = memory
    for y in firstLine..<firstLine + height(rows: rows.count) {
      if y < 0 || y >= leaf.sourceHeight {
        line.update(repeating: 0, count: width * channels)
      } else {
        line.update(repeating: 0, count: low * channels)
        (line + low * channels).update(
          from: image + (y * leaf.sourceWidth + left + low) * channels,
          count: (high - low) * channels)
        (line + high * channels).update(repeating: 0, count: (width - high) * channels)
      }
      line += width * channels
    }
    // The strip's height does not matter: no run is outside.
    var strip = window.leaf
    strip.sourceHeight = height(rows: rows.count)
    strip.gridHeight = rows.count
    let count = rows.count * leaf.gridWidth
    withUnsafePointer(to: strip) {
      loops.locate(table, count, memory, memory, $0, 0, strip.runCount, 0, count)
    }
  }
}
