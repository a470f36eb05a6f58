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
    taps.count == 1 && taps[0].z == 0 && taps[0].y == 0 && taps[0].x == 0
      && leaf.stepZ == 1 && leaf.stepY == 1 && leaf.stepX == 1 && leaf.gridDepth == leaf.sourceDepth
      && leaf.gridHeight == leaf.sourceHeight && leaf.gridWidth == leaf.sourceWidth
  }

  private let runs: UnsafeMutablePointer<Int>

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
  init(
    source: Extents, sourceStride: Int, channels: Int, grid: Extents, step: Extents, taps: [Tap],
    joinsRuns: Bool
  ) {
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
      tapColumns: rectangle?.columns ?? 0)
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

  deinit { runs.deallocate() }

  /// The number of each run's first tap.
  var runNumbers: UnsafePointer<Int> { UnsafePointer(runs + 5 * leaf.runCount) }
  /// Whether source and grid are images, not volumes.
  var isFlat: Bool { leaf.sourceDepth == 1 && leaf.gridDepth == 1 && taps.allSatisfy { $0.z == 0 } }

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
    _ axes: SpatialAxes, channels: Int, stride: Int, joinsRuns: Bool, rows: Range<Int>? = nil
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
      joinsRuns: joinsRuns)
  }
}

extension SpatialAxes {
  /// One number of each axis.
  internal func extents(_ number: (SpatialAxis) -> Int) -> Window.Extents {
    Window.Extents(z: number(depth), y: number(height), x: number(width))
  }
}
