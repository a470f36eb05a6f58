internal import CKeelLoops
package import KeelTensor

/// Maximum and average pooling, forward and backward, see `PoolingGeometry`.
///
/// The maximum's gradient goes to the first of equal maxima in row-major order, and is found again from
/// x. Backward tasks are whole images, so overlapping windows add in one order for any number of
/// threads.
package struct PoolingKernel: Sendable {
  private let geometry: PoolingGeometry
  private let batch: Int
  private let window: Window
  private let tiles: RowTiles

  package init(_ geometry: PoolingGeometry, batch: Int) {
    self.geometry = geometry
    self.batch = batch
    window = Window(
      geometry.spatial, channels: geometry.channels, stride: geometry.channels, joinsRuns: false)
    tiles = RowTiles(
      rows: batch * window.positionsPerImage, target: max(1, 16_384 / geometry.channels))
  }

  /// What a window's sum is divided by: 0 for the number of its pixels inside the image.
  private var divisor: Int {
    guard case .average(countsPadding: true) = geometry.kind else { return 0 }
    return geometry.tapCount
  }

  private var work: Int { tiles.rows * window.columnCount }

  package func run(
    _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    parallelism.forEach(tiles.count, work: work) { task, _ in
      let rows = tiles[task]
      let target = y + rows.lowerBound * geometry.channels
      withUnsafePointer(to: window.leaf) { leaf in
        switch geometry.kind {
        case .maximum: loops.poolMaximum(target, x, leaf, rows.lowerBound, rows.count)
        case .average: loops.poolAverage(target, x, leaf, rows.lowerBound, rows.count, divisor)
        }
      }
    }
  }

  /// - Parameter x: the forward operand, for the maximum.
  package func gradient(
    _ dy: UnsafePointer<Float>, x: UnsafePointer<Float>?, into dx: UnsafeMutablePointer<Float>,
    parallelism: Parallelism
  ) {
    let (outputs, channels) = (window.positionsPerImage, geometry.channels)
    let inputs = geometry.inputPositions
    parallelism.forEach(batch, work: 2 * work) { image, _ in
      (dx + image * inputs * channels).update(repeating: 0, count: inputs * channels)
      let gradient = dy + image * outputs * channels
      withUnsafePointer(to: window.leaf) { leaf in
        if let x {
          loops.poolMaximumGradient(dx, gradient, x, leaf, image * outputs, outputs)
        } else {
          loops.poolAverageGradient(dx, gradient, leaf, image * outputs, outputs, divisor)
        }
      }
    }
  }
}
