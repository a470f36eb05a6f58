internal import CKeelLoops
internal import KeelTensor

/// One tap of a sliding window: its offset in the source and its number in the weight (u·kW + v).
internal struct Tap: Hashable, Sendable {
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

  private let runs: UnsafeMutablePointer<Int>

  /// - Parameters:
  ///   - taps: offsets, in the order in which columns are wanted.
  ///   - joinsRuns: whether neighbouring taps may be copied as one piece, which needs windows that use
  ///     all floats of a pixel.
  init(
    sourceHeight: Int, sourceWidth: Int, sourceStride: Int, channels: Int, gridHeight: Int,
    gridWidth: Int, stepY: Int, stepX: Int, taps: [Tap], joinsRuns: Bool
  ) {
    self.taps = taps
    positionsPerImage = gridHeight * gridWidth
    var starts: [(tap: Tap, count: Int)] = []
    for tap in taps {
      if joinsRuns, channels == sourceStride, let last = starts.last, last.tap.y == tap.y,
        last.tap.x + last.count == tap.x
      {
        starts[starts.count - 1].count += 1
      } else {
        starts.append((tap, 1))
      }
    }
    let count = starts.count
    runs = .allocate(capacity: max(3 * count, 1))
    for (i, run) in starts.enumerated() {
      (runs + i).initialize(to: run.tap.y)
      (runs + count + i).initialize(to: run.tap.x)
      (runs + 2 * count + i).initialize(to: run.count)
    }
    leaf = KeelWindow(
      sourceHeight: sourceHeight, sourceWidth: sourceWidth, sourceStride: sourceStride,
      channels: channels, gridHeight: gridHeight, gridWidth: gridWidth, stepY: stepY, stepX: stepX,
      runCount: count, runY: UnsafePointer(runs), runX: UnsafePointer(runs + count),
      runTaps: UnsafePointer(runs + 2 * count))
  }

  deinit { runs.deallocate() }

  /// The grid positions of a row.
  var gridWidth: Int { leaf.gridWidth }
  /// Whether source and grid are images, not volumes.
  var isFlat: Bool { true }

  /// The same window on another source without padding, with runs joined.
  func moved(taps offsets: [(y: Int, x: Int)], height: Int, width: Int) -> Window {
    let moved = zip(taps, offsets).map { Tap(y: $1.y, x: $1.x, number: $0.number) }
    return Window(
      sourceHeight: height, sourceWidth: width, sourceStride: leaf.sourceStride,
      channels: leaf.channels, gridHeight: leaf.gridHeight, gridWidth: leaf.gridWidth,
      stepY: leaf.stepY, stepX: leaf.stepX, taps: moved, joinsRuns: true)
  }

  /// The window of a forward convolution or pooling over one group's channels.
  convenience init(
    height: SpatialAxis, width: SpatialAxis, channels: Int, stride: Int, joinsRuns: Bool,
    rows: Range<Int>? = nil
  ) {
    var taps: [Tap] = []
    for u in rows ?? 0..<height.window {
      for v in 0..<width.window {
        taps.append(
          Tap(
            y: u * height.dilation - height.paddingBefore,
            x: v * width.dilation - width.paddingBefore, number: u * width.window + v))
      }
    }
    self.init(
      sourceHeight: height.input, sourceWidth: width.input, sourceStride: stride,
      channels: channels, gridHeight: height.output, gridWidth: width.output,
      stepY: height.stride, stepX: width.stride, taps: taps, joinsRuns: joinsRuns)
  }
}
