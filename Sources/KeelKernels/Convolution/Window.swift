internal import CKeelLoops
internal import KeelTensor

/// One tap of a sliding window: its offset in the source and its number in the weight,
/// (t·kH + u)·kW + v.
internal struct Tap: Hashable, Sendable {
  var z: Int
  var y: Int
  var x: Int
  var number: Int
}

/// A sliding window as the leaf loops see it, with the memory behind their pointers.
///
/// Unchecked Sendable: the arrays are written in `init` only.
internal final class Window: @unchecked Sendable {
  /// What the leaf loops take.
  let leaf: KeelWindow
  /// The taps in the order of the gathered columns.
  let taps: [Tap]
  /// The number of grid positions per image.
  let positionsPerImage: Int
  /// The floats of one gathered row: taps × channels.
  var columnCount: Int { taps.count * leaf.channels }

  /// The grid positions of a row.
  var gridWidth: Int { leaf.gridWidth }

  /// Whether every position sees the source's pixel of the same number, and nothing else.
  var isIdentity: Bool {
    moved == nil && taps.count == 1 && taps[0].z == 0 && taps[0].y == 0 && taps[0].x == 0
      && leaf.stepZ == 1 && leaf.stepY == 1 && leaf.stepX == 1 && leaf.gridDepth == leaf.sourceDepth
      && leaf.gridHeight == leaf.sourceHeight && leaf.gridWidth == leaf.sourceWidth
  }

  private let runs: UnsafeMutablePointer<Int>
  /// The source's rows, then its columns, where it is made of another image's.
  private let moved: UnsafeMutablePointer<Int>?

  /// Positions, extents or steps along three axes.
  struct Extents: Hashable, Sendable {
    var z: Int, y: Int, x: Int
    var product: Int { z * y * x }
  }

  /// - Parameters:
  ///   - step: source pixels from one grid position to the next.
  ///   - taps: offsets, in the order in which columns are wanted.
  ///   - joinsRuns: whether neighbouring taps may be copied as one piece, which needs windows that use
  ///     all floats of a pixel.
  ///   - map: where the source's pixels are; only what locates windows of single taps heeds it.
  init(
    source: Extents, sourceStride: Int, channels: Int, grid: Extents, step: Extents, taps: [Tap],
    joinsRuns: Bool, map: PixelMap? = nil
  ) {
    moved = map.map { map in
      let memory = UnsafeMutablePointer<Int>.allocate(capacity: map.rows.count + map.columns.count)
      for (i, number) in (map.rows + map.columns).enumerated() {
        (memory + i).initialize(to: number)
      }
      return memory
    }
    self.taps = taps
    positionsPerImage = grid.product
    var starts: [(tap: Tap, count: Int)] = []
    for tap in taps {
      if joinsRuns, channels == sourceStride, let last = starts.last, last.tap.z == tap.z,
        last.tap.y == tap.y, last.tap.x + last.count == tap.x
      {
        starts[starts.count - 1].count += 1
      } else {
        starts.append((tap, 1))
      }
    }
    let count = starts.count
    runs = .allocate(capacity: max(6 * count, 1))
    for (i, run) in starts.enumerated() {
      let tap = run.tap
      (runs + i).initialize(to: tap.z)
      (runs + count + i).initialize(to: tap.y)
      (runs + 2 * count + i).initialize(to: tap.x)
      (runs + 3 * count + i).initialize(to: run.count)
      (runs + 4 * count + i).initialize(
        to: ((tap.z * source.y + tap.y) * source.x + tap.x) * sourceStride)
      (runs + 5 * count + i).initialize(to: tap.number)
    }
    let rectangle = starts.count == taps.count ? Self.rectangle(taps) : nil
    leaf = KeelWindow(
      sourceDepth: source.z, sourceHeight: source.y, sourceWidth: source.x,
      sourceStride: sourceStride, channels: channels, gridDepth: grid.z, gridHeight: grid.y,
      gridWidth: grid.x, stepZ: step.z, stepY: step.y, stepX: step.x, runCount: count,
      runZ: UnsafePointer(runs), runY: UnsafePointer(runs + count),
      runX: UnsafePointer(runs + 2 * count), runTaps: UnsafePointer(runs + 3 * count),
      runOffset: UnsafePointer(runs + 4 * count), tapRows: rectangle?.rows ?? 0,
      tapColumns: rectangle?.columns ?? 0, rows: UnsafePointer(moved),
      columns: moved.map { UnsafePointer($0 + source.y) }, heldHeight: map?.height ?? 0,
      heldWidth: map?.width ?? 0)
    precondition(
      map.map { $0.rows.count == source.y && $0.columns.count == source.x && !joinsRuns } ?? true,
      "window: expected a map to \(source.y)×\(source.x) pixels and single taps")
  }

  /// The extents of taps that are neighbours in one plane, row by row; nil for others.
  private static func rectangle(_ taps: [Tap]) -> (rows: Int, columns: Int)? {
    guard let first = taps.first else { return nil }
    let columns = taps.firstIndex { $0.y != first.y } ?? taps.count
    let isRectangle =
      taps.count % columns == 0
      && taps.enumerated().allSatisfy { number, tap in
        tap.z == first.z && tap.y == first.y + number / columns
          && tap.x == first.x + number % columns
      }
    return isRectangle ? (taps.count / columns, columns) : nil
  }

  deinit {
    runs.deallocate()
    moved?.deallocate()
  }

  /// The number of each run's first tap.
  var runNumbers: UnsafePointer<Int> { UnsafePointer(runs + 5 * leaf.runCount) }
  /// Whether source and grid are images, not volumes.
  var isFlat: Bool { leaf.sourceDepth == 1 && leaf.gridDepth == 1 && taps.allSatisfy { $0.z == 0 } }

  /// The pixels of an image that the source's are taken from.
  var heldPixels: Int {
    moved == nil ? leaf.sourceHeight * leaf.sourceWidth : leaf.heldHeight * leaf.heldWidth
  }

  /// The number of the first held pixel of one of the source's rows; nil where that has zeros.
  func heldRow(_ row: Int) -> Int? {
    guard (0..<leaf.sourceHeight).contains(row) else { return nil }
    guard moved != nil else { return row * leaf.sourceWidth }
    return leaf.rows[row] < 0 ? nil : leaf.rows[row] * leaf.heldWidth
  }

  /// Calls `body` for stretches of the source's columns that are neighbours where they are held, with the first held
  /// column, or nil for zeros.
  func forEachStretch(
    of columns: Range<Int>, _ body: (_ columns: Range<Int>, _ held: Int?) -> Void
  ) {
    guard moved != nil else { return body(columns, columns.lowerBound) }
    var first = columns.lowerBound
    while first < columns.upperBound {
      let held = leaf.columns[first]
      var end = first + 1
      while end < columns.upperBound,
        held < 0 ? leaf.columns[end] < 0 : leaf.columns[end] == held + end - first
      {
        end += 1
      }
      body(first..<end, held < 0 ? nil : held)
      first = end
    }
  }

  /// The same window on a dense source of one plane without padding, with runs joined.
  func moved(taps offsets: [(y: Int, x: Int)], height: Int, width: Int) -> Window {
    let moved = zip(taps, offsets).map { Tap(z: 0, y: $1.y, x: $1.x, number: $0.number) }
    return Window(
      source: Extents(z: 1, y: height, x: width), sourceStride: leaf.channels,
      channels: leaf.channels,
      grid: Extents(z: leaf.gridDepth, y: leaf.gridHeight, x: leaf.gridWidth),
      step: Extents(z: leaf.stepZ, y: leaf.stepY, x: leaf.stepX), taps: moved, joinsRuns: true)
  }

  /// The window of a forward convolution or pooling over one group's channels.
  /// - Parameter rows: some of the kD·kH rows of the kernel; all where nil.
  convenience init(
    _ axes: SpatialAxes, channels: Int, stride: Int, joinsRuns: Bool, rows: Range<Int>? = nil,
    map: PixelMap? = nil
  ) {
    let (depth, height, width) = (axes.depth, axes.height, axes.width)
    func offset(_ axis: SpatialAxis, _ tap: Int) -> Int {
      tap * axis.dilation - axis.paddingBefore
    }
    var taps: [Tap] = []
    for row in rows ?? 0..<depth.window * height.window {
      let (t, u) = row.quotientAndRemainder(dividingBy: height.window)
      for v in 0..<width.window {
        taps.append(
          Tap(
            z: offset(depth, t), y: offset(height, u), x: offset(width, v),
            number: row * width.window + v))
      }
    }
    self.init(
      source: axes.extents(\.input), sourceStride: stride, channels: channels,
      grid: axes.extents(\.output), step: axes.extents(\.stride), taps: taps,
      joinsRuns: joinsRuns, map: map)
  }
}

extension SpatialAxes {
  /// One number of each axis.
  internal func extents(_ number: (SpatialAxis) -> Int) -> Window.Extents {
    Window.Extents(z: number(depth), y: number(height), x: number(width))
  }
}
