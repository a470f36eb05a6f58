internal import CKeelLoops
package import KeelTensor

/// Permutes axes: y's axis k is x's axis permutation[k]. Copies bits.
///
/// Axes that stay neighbours are one axis; then either the last stays last, and runs of it are copied, or
/// blocks of the last axis and the one that becomes last are turned.
/// Aliasing: y must not overlap x. Cost: one pass.
package struct TransposeKernel: Sendable {
  /// Extents of y's axes, outermost first, and the distance of neighbours in x and in y.
  private struct Axis: Sendable {
    var extent: Int
    var source: Int
    var target: Int
  }

  /// The axes that are walked, then the two that are turned, or one that is copied.
  private let walked: [Axis]
  private let rows: Axis
  private let columns: Axis
  private let keepsLast: Bool
  private let tiles: RowTiles
  /// Columns of a task, where a single plane is so large that it is cut.
  private let columnTiles: RowTiles

  package init(input: Shape, permutation: [Int]) {
    var strides = [Int](repeating: 1, count: input.extents.count)
    for axis in stride(from: strides.count - 2, through: 0, by: -1) {
      strides[axis] = strides[axis + 1] * input[axis + 1]
    }
    var axes: [Axis] = []
    for axis in permutation where input[axis] != 1 {
      if let last = axes.last, last.source == strides[axis] * input[axis] {
        axes[axes.count - 1].extent *= input[axis]
        axes[axes.count - 1].source = strides[axis]
      } else {
        axes.append(Axis(extent: input[axis], source: strides[axis], target: 0))
      }
    }
    if axes.isEmpty { axes = [Axis(extent: 1, source: 1, target: 1)] }
    var target = 1
    for position in axes.indices.reversed() {
      axes[position].target = target
      target *= axes[position].extent
    }
    let last = axes.removeLast()
    keepsLast = last.source == 1
    let unit = Axis(extent: 1, source: 1, target: 1)
    if keepsLast {
      (rows, columns) = (unit, last)
    } else {
      // Distance 1 in x: the axis that is last there.
      let position = axes.firstIndex { $0.source == 1 }!
      (rows, columns) = (last, axes.remove(at: position))
    }
    walked = axes
    let plane = rows.extent * columns.extent
    tiles = RowTiles(
      rows: axes.reduce(1) { $0 * $1.extent }, target: max(1, 16_384 / max(1, plane)))
    columnTiles = RowTiles(
      rows: columns.extent, target: max(16, 16_384 / max(1, rows.extent) / 16 * 16))
  }

  package func run(
    _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let work = 2 * tiles.rows * rows.extent * columns.extent
    parallelism.forEach(tiles.count * columnTiles.count, work: work) { task, _ in
      let part = columnTiles[task % columnTiles.count]
      for index in tiles[task / columnTiles.count] {
        var (rest, source, target) = (index, part.lowerBound, part.lowerBound * columns.target)
        for axis in walked.reversed() {
          let place = rest % axis.extent
          rest /= axis.extent
          source += place * axis.source
          target += place * axis.target
        }
        if keepsLast {
          (y + target).update(from: x + source, count: part.count)
        } else {
          loops.transpose(
            y + target, columns.target, x + source, rows.source, rows.extent, part.count)
        }
      }
    }
  }
}
