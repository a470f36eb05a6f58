internal import CKeelLoops
package import KeelTensor

/// Pooling of all kinds, forward and backward, see `PoolingGeometry`.
///
/// Sums run in Float over at most 64 elements, whose sums are added up one by one. The maximum's gradient
/// goes to the first of equal maxima in row-major order, and is found again from x. A backward task makes
/// a band of dx and looks at all windows that reach into it, so that tasks write apart from each other and
/// windows that overlap add up in one order for any number of threads.
package struct PoolingKernel: Sendable {
  private let geometry: PoolingGeometry
  private let batch: Int
  private let window: PoolingWindow
  private let tiles: RowTiles
  /// The pixels of a band of dx.
  private let band: Int

  /// - Parameters:
  ///   - inputStride: floats from one pixel of x to the next, where those are slices of larger ones; `gradient`
  ///     takes dense ones only.
  ///   - outputStride: likewise of y.
  package init(
    _ geometry: PoolingGeometry, batch: Int, inputStride: Int? = nil, outputStride: Int? = nil
  ) {
    self.geometry = geometry
    self.batch = batch
    window = PoolingWindow(
      geometry, inputStride: inputStride ?? geometry.channels,
      outputStride: outputStride ?? geometry.channels)
    tiles = RowTiles(
      rows: batch * geometry.outputPositions, target: max(1, 16_384 / geometry.channels))
    band = Self.band(geometry, batch: batch, tiles: window.leaf.tiles != 0)
  }

  /// Cuts images at whole rows (planes of volumes, positions of sequences), and only as often as it
  /// takes to have some sixteen tasks: windows that reach over a cut are looked at twice. Windows that
  /// tile the image are not cut through.
  private static func band(_ geometry: PoolingGeometry, batch: Int, tiles: Bool) -> Int {
    let outer = geometry.axes.firstIndex { $0.input > 1 } ?? geometry.axes.count - 1
    let axis = geometry.axes[outer]
    let inner = geometry.axes[(outer + 1)...].reduce(1) { $0 * $1.input }
    let window = min(axis.input, axis.window?.extent ?? axis.longestWindow)
    let tasks = (16 + batch - 1) / max(batch, 1)
    var rows = max((axis.input + tasks - 1) / tasks, tiles ? 1 : 4 * window)
    if tiles { rows = (rows + window - 1) / window * window }
    return min(rows, axis.input) * inner
  }

  private var work: Int {
    batch * max(geometry.inputPositions, geometry.outputPositions) * channels
  }
  private var channels: Int { geometry.channels }

  /// - Parameter indices: where each maximum stands, counted in positions of its image; only of `maximum`.
  package func run(
    _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    indices: UnsafeMutablePointer<Int64>? = nil, parallelism: Parallelism
  ) {
    parallelism.forEach(tiles.count, work: work) { task, _ in
      let rows = tiles[task]
      let (first, count) = (rows.lowerBound, rows.count)
      let target = y + first * window.leaf.yStride
      withUnsafePointer(to: window.leaf) { leaf in
        switch geometry.kind {
        case .maximum:
          if let indices {
            let index = UnsafeMutableRawPointer(indices + first * channels)
              .assumingMemoryBound(to: CLongLong.self)
            loops.poolMaximumIndices(target, index, x, leaf, first, count)
          } else {
            loops.poolMaximum(target, x, leaf, first, count)
          }
        case .average: loops.poolAverage(target, x, leaf, first, count)
        case .l2: loops.poolNorm(target, x, leaf, first, count)
        }
      }
    }
  }

  /// - Parameters:
  ///   - x: the forward operand; nil for the average.
  ///   - y: the forward result; nil but for L2.
  package func gradient(
    _ dy: UnsafePointer<Float>, x: UnsafePointer<Float>?, y: UnsafePointer<Float>?,
    into dx: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let (inputs, outputs) = (geometry.inputPositions, geometry.outputPositions)
    let bands = (inputs + band - 1) / band
    parallelism.forEach(batch * bands, work: 2 * work) { task, _ in
      let (image, index) = task.quotientAndRemainder(dividingBy: bands)
      let (first, count) = (index * band, min(band, inputs - index * band))
      let target = dx + image * inputs * channels
      let g = dy + image * outputs * channels
      let source = x.map { $0 + image * inputs * channels }
      let result = y.map { $0 + image * outputs * channels }
      withUnsafePointer(to: window.leaf) { leaf in
        switch geometry.kind {
        case .maximum: loops.poolMaximumGradient(target, g, source, leaf, first, count)
        case .average: loops.poolAverageGradient(target, g, leaf, first, count)
        case .l2: loops.poolNormGradient(target, g, source, result, leaf, first, count)
        }
      }
    }
  }
}
