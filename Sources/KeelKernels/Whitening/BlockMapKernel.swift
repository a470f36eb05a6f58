internal import CKeelLoops
package import KeelTensor

/// A matrix for each block of channels: y = (x − centre)·matrix + shift.
///
/// The centre is subtracted first, in two steps; products in Float. Cost: one read of x, one write of y, and
/// rows·C·d multiply-adds.
package struct BlockMapKernel: Sendable {
  private let map: BlockMap
  private let at: BlockRows

  /// Prepares for a tensor of this shape.
  package init(_ map: BlockMap, of shape: Shape) {
    self.map = map
    at = BlockRows(map.blocks, of: shape)
  }

  private var workerCount: Int { at.tileCount }

  /// The floats of scratch memory.
  package func scratchCount(_ parallelism: Parallelism) -> Int {
    at.cells * at.packedCount + parallelism.threadCount * workerCount
  }

  /// - Parameters:
  ///   - centre: 2 × cells × C.
  ///   - matrix: d × cells × C.
  ///   - shift: C, or cells × C, as the map says.
  package func run(
    _ x: UnsafePointer<Float>, centre: UnsafePointer<Float>?, _ matrix: UnsafePointer<Float>,
    shift: UnsafePointer<Float>?, into y: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let workers = scratch + at.cells * at.packedCount
    parallelism.forEach(at.cells * at.blockCount, work: 2 * at.cells * at.packedCount) { task, _ in
      let (cell, block) = (task / at.blockCount, task % at.blockCount)
      at.pack(
        matrix + cell * at.channels + at.range(of: block).lowerBound, block, kStep: at.tableStep,
        columnStep: 1, into: scratch + cell * at.packedCount)
    }
    let streams = LargeResult.streams(at.elementCount, y, over: x)
    parallelism.forEach(at.cells * at.tiles.count, work: at.work) { tile, worker in
      let cell = tile / at.tiles.count
      let centred = workers + worker * workerCount
      let high = centre.map { $0 + cell * at.channels }
      at.forEachTile(in: at.tiles[tile % at.tiles.count]) { first, count in
        let start = (cell * at.rows + first) * at.channels
        loops.centerRows(
          centred, x + start, count, at.channels, at.channels, high, high.map { $0 + at.tableStep })
        at.multiply(
          centred, scratch + cell * at.packedCount, rows: count,
          shift: shift.map { $0 + (map.shift == .cells ? cell * at.channels : 0) },
          into: y + start, streams: streams,
          near: at.near(x, of: cell, from: first + count))
      }
    }
  }
}
