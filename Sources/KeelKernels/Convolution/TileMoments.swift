internal import CKeelLoops
internal import KeelTensor

/// The moments of a result's channels, gathered from each tile of it while it is in a cache.
///
/// Numerics: at most 256 rows are summed in Float around a pivot, the mean of their first 16; these sums are
/// merged in Double in the order of the rows (Chan, Golub and LeVeque 1979).
package struct TileMoments {
  /// How the sums lie in memory: for each 256 rows of a tile the pivots, the sums of distances from them and
  /// of their squares.
  internal struct Layout: Sendable {
    let channels: Int
    /// The rows of each tile.
    let tiles: [Range<Int>]
    let slotsPerTile: Int

    init(channels: Int, tiles: [Range<Int>]) {
      self.channels = channels
      self.tiles = tiles
      let largest = tiles.map(\.count).max() ?? 0
      slotsPerTile = (largest + RowReduction.chunkRows - 1) / RowReduction.chunkRows
    }

    var padded: Int { ChannelRows.padded(channels) }
    /// Floats of memory: the slots, and two Doubles per channel.
    var memoryCount: Int { (tiles.count * slotsPerTile * 3 + 4) * padded }
  }

  let layout: Layout
  let memory: UnsafeMutablePointer<Float>

  private func slot(_ tile: Int, _ part: Int) -> UnsafeMutablePointer<Float> {
    memory + (4 + 3 * (tile * layout.slotsPerTile + part)) * layout.padded
  }

  /// Calls a closure with the rows of each slot of a tile.
  private func forEachPart(of tile: Int, _ body: (_ rows: Range<Int>, _ part: Int) -> Void) {
    let rows = layout.tiles[tile]
    var part = 0
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: RowReduction.chunkRows) {
      body(first..<min(first + RowReduction.chunkRows, rows.upperBound), part)
      part += 1
    }
  }

  /// Gathers what some columns of a tile hold.
  /// - Parameters:
  ///   - y: the start of the whole result.
  ///   - rowStride: the floats of its rows.
  func gather(
    tile: Int, columns: Range<Int>, of y: UnsafePointer<Float>, rowStride: Int
  ) {
    let padded = layout.padded
    forEachPart(of: tile) { rows, part in
      let pivot = slot(tile, part) + columns.lowerBound
      let (sum, square) = (pivot + padded, pivot + 2 * padded)
      let x = y + rows.lowerBound * rowStride + columns.lowerBound
      let few = min(rows.count, RowReduction.firstRows)
      loops.moments(x, few, rowStride, columns.count, x, sum, square)
      for c in 0..<columns.count { pivot[c] = x[c] + sum[c] / Float(few) }
      loops.moments(x, rows.count, rowStride, columns.count, pivot, sum, square)
    }
  }

  /// Merges what was gathered.
  /// - Parameter table: 4 × channels, in the layout of `MomentsLayout`.
  func merge(into table: UnsafeMutablePointer<Float>, parallelism: Parallelism) {
    let channels = layout.channels
    let blocks = RowTiles(rows: channels, target: 64)
    let means = UnsafeMutableRawPointer(memory).assumingMemoryBound(to: Double.self)
    let deviations = means + layout.padded
    let work = layout.tiles.count * layout.slotsPerTile * channels * 8
    parallelism.forEach(blocks.count, work: work) { index, _ in
      let block = blocks[index]
      let (first, padded) = (block.lowerBound, layout.padded)
      var count = 0.0
      for tile in layout.tiles.indices {
        forEachPart(of: tile) { rows, part in
          let pivot = slot(tile, part) + first
          loops.mergeMoments(
            means + first, deviations + first, count, pivot, pivot + padded, pivot + 2 * padded,
            Double(rows.count), block.count)
          count += Double(rows.count)
        }
      }
      for c in block {
        let mean = Float(means[c])
        table[MomentsLayout.count * channels + c] = Float(count)
        table[MomentsLayout.mean * channels + c] = mean
        table[MomentsLayout.meanResidual * channels + c] = Float(means[c] - Double(mean))
        table[MomentsLayout.squaredDeviations * channels + c] = Float(deviations[c])
      }
    }
  }
}

/// How the moments of a convolution's channels are made: tile by tile where its method makes whole tiles,
/// else by a pass over the result.
package struct ConvolutionMoments: Sendable {
  private enum Form: Sendable {
    case tiles(TileMoments.Layout)
    case pass(MomentsKernel)
  }

  private let form: Form
  /// The floats of scratch memory.
  package let scratchCount: Int

  package init(_ kernel: ConvolutionKernel, parallelism: Parallelism) {
    if let tiles = kernel.wholeTiles {
      let layout = TileMoments.Layout(channels: kernel.geometry.outputChannels, tiles: tiles)
      form = .tiles(layout)
      scratchCount = layout.memoryCount
    } else {
      let pass = MomentsKernel(.batch, of: kernel.geometry.outputShape(batch: kernel.batch))
      form = .pass(pass)
      scratchCount = pass.scratchCount(parallelism)
    }
  }

  /// What the convolution's epilogue takes along.
  package func tiles(_ scratch: UnsafeMutablePointer<Float>) -> TileMoments? {
    guard case .tiles(let layout) = form else { return nil }
    return TileMoments(layout: layout, memory: scratch)
  }

  /// Writes the table of moments, once the convolution has been run with those tiles.
  package func finish(
    _ y: UnsafePointer<Float>, into table: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    switch form {
    case .tiles(let layout):
      TileMoments(layout: layout, memory: scratch).merge(into: table, parallelism: parallelism)
    case .pass(let pass):
      pass.run(y, into: table, scratch: scratch, parallelism: parallelism)
    }
  }
}
