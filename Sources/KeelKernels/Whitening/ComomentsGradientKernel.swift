internal import CKeelLoops
package import KeelTensor

/// The gradient of co-moments: dx = residual + dMean/n + Σⱼ (dSᵢⱼ + dSⱼᵢ)·(xⱼ − meanⱼ).
///
/// The residual may be the gradient of a block map, dy·matrixᵀ: both products are then
/// summed in registers. Products in Float. Cost: rows·C·d multiply-adds, twice as many with a map.
package struct ComomentsGradientKernel: Sendable {
  private let at: BlockRows
  private let residual: ComomentsResidual

  /// Prepares for a tensor of this shape.
  package init(_ blocks: ChannelBlocks, of shape: Shape, residual: ComomentsResidual) {
    at = BlockRows(blocks, of: shape)
    self.residual = residual
  }

  /// The matrices of a block: that of x, and the map's.
  private var factor: Int { residual == .mapped ? 2 : 1 }
  private var mapCount: Int { factor * at.packedCount + at.channels }
  private var workerCount: Int { at.blocks.size * at.blocks.size + at.tileCount }

  /// The floats of scratch memory.
  package func scratchCount(_ parallelism: Parallelism) -> Int {
    at.cells * mapCount + parallelism.threadCount * workerCount
  }

  /// - Parameters:
  ///   - added: the residual, which may not be where dx is, or dy.
  ///   - matrix: that of the map.
  package func run(
    _ gradient: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ table: UnsafePointer<Float>,
    added: UnsafePointer<Float>?, matrix: UnsafePointer<Float>?,
    into dx: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>,
    parallelism: Parallelism
  ) {
    let workers = scratch + at.cells * mapCount
    let streams = LargeResult.streams(at.elementCount, dx, over: x)
    parallelism.forEach(
      at.cells * at.blockCount, work: 4 * at.cells * at.packedCount
    ) { task, worker in
      let (cell, block) = (task / at.blockCount, task % at.blockCount)
      let map = scratch + cell * mapCount
      prepare(cell, block, gradient, map, workers + worker * workerCount)
      if let matrix {
        at.pack(
          matrix + cell * at.channels + at.range(of: block).lowerBound, block, kStep: 1,
          columnStep: at.tableStep, into: map, part: 1, of: factor)
      }
    }
    parallelism.forEach(at.cells * at.tiles.count, work: factor * at.work) { tile, worker in
      let cell = tile / at.tiles.count
      let map = scratch + cell * mapCount
      let centred = workers + worker * workerCount + at.blocks.size * at.blocks.size
      let mean = table + ComomentsLayout.mean * at.tableStep + cell * at.channels
      at.forEachTile(in: at.tiles[tile % at.tiles.count]) { first, count in
        let start = (cell * at.rows + first) * at.channels
        loops.centerRows(
          centred, x + start, count, at.channels, at.channels, mean, mean + at.tableStep)
        at.multiply(
          centred, map, rows: count, more: residual == .mapped ? added! + start : nil,
          shift: map + factor * at.packedCount,
          residual: residual == .given ? added! + start : nil, into: dx + start, streams: streams,
          near: at.near(
            x, residual == .mapped ? added : nil, of: cell, from: first + count))
      }
    }
  }

  /// dS + dSᵀ, packed, and dMean/n.
  private func prepare(
    _ cell: Int, _ block: Int, _ gradient: UnsafePointer<Float>,
    _ map: UnsafeMutablePointer<Float>, _ symmetric: UnsafeMutablePointer<Float>
  ) {
    let range = at.range(of: block)
    let own = gradient + cell * at.channels + range.lowerBound
    for i in 0..<range.count {
      for j in 0..<range.count {
        symmetric[i * range.count + j] =
          own[(ComomentsLayout.products + i) * at.tableStep + j]
          + own[(ComomentsLayout.products + j) * at.tableStep + i]
      }
      map[factor * at.packedCount + range.lowerBound + i] =
        own[ComomentsLayout.mean * at.tableStep + i] / Float(at.rows)
    }
    at.pack(symmetric, block, kStep: range.count, columnStep: 1, into: map, of: factor)
  }
}
