internal import CKeelLoops
package import KeelTensor

/// The moments of a result's cells, gathered from each tile of it while it is in a cache: of channels over the batch, or
/// of channels or groups of them over each image.
///
/// Numerics: at most 256 pixels, or those of 8 of Winograd's tiles, are summed in Float around a pivot, the mean of
/// their first 16, or of the first tile; these sums are merged in Double in the order of the pixels, then of the
/// channels (Chan, Golub and LeVeque 1979). Pixels that are all alike deviate by exactly 0.
package struct TileMoments {
  /// How the sums lie in memory: for each slot, some pixels of one tile, the pivots, the sums of distances from them and
  /// of their squares.
  internal struct Layout: Sendable {
    /// What a slot's sums are of.
    struct Slot: Sendable {
      let image: Int
      let pixels: Int
    }

    let channels: Int
    /// The cells that the channels of an image make.
    let cellsPerImage: Int
    let slots: [Slot]
    /// The slots of each image; all of one where the batch is one cell.
    let slotsOfImages: [Range<Int>]
    /// The rows and the slot of each part of each tile, where tiles are ranges of pixels.
    let parts: [[(rows: Range<Int>, slot: Int)]]

    /// - Parameters:
    ///   - tiles: ranges of pixels, counted over the batch.
    ///   - pixelsPerImage: of a cell; all of the batch where cells are channels over it.
    init(channels: Int, cellsPerImage: Int, tiles: [Range<Int>], pixelsPerImage: Int) {
      var slots: [Slot] = []
      let partsOfTiles = tiles.map { tile in
        var parts: [(rows: Range<Int>, slot: Int)] = []
        var first = tile.lowerBound
        while first < tile.upperBound {
          let image = first / pixelsPerImage
          let end = min(
            first + RowReduction.chunkRows, tile.upperBound, (image + 1) * pixelsPerImage)
          parts.append((first..<end, slots.count))
          slots.append(Slot(image: image, pixels: end - first))
          first = end
        }
        return parts
      }
      self.init(
        channels: channels, cellsPerImage: cellsPerImage, slots: slots, parts: partsOfTiles)
    }

    /// - Parameter slots: in the order of their pixels.
    init(channels: Int, cellsPerImage: Int, slots: [Slot]) {
      self.init(channels: channels, cellsPerImage: cellsPerImage, slots: slots, parts: [])
    }

    private init(
      channels: Int, cellsPerImage: Int, slots: [Slot], parts: [[(rows: Range<Int>, slot: Int)]]
    ) {
      self.channels = channels
      self.cellsPerImage = cellsPerImage
      self.slots = slots
      self.parts = parts
      var ranges: [Range<Int>] = []
      for (index, slot) in slots.enumerated() {
        if slot.image == ranges.count {
          ranges.append(index..<index + 1)
        } else {
          ranges[slot.image] = ranges[slot.image].lowerBound..<index + 1
        }
      }
      slotsOfImages = ranges
    }

    var padded: Int { ChannelRows.padded(channels) }
    /// Floats of memory: two Doubles per channel, then the slots.
    var memoryCount: Int { (slots.count * 3 + 4) * padded }
  }

  let layout: Layout
  let memory: UnsafeMutablePointer<Float>

  /// Where the pivots of a slot start; its sums and their squares follow, each after `padded` floats.
  func slot(_ number: Int) -> UnsafeMutablePointer<Float> {
    memory + (4 + 3 * number) * layout.padded
  }

  /// Gathers what some columns of a tile hold.
  /// - Parameters:
  ///   - y: the start of the whole result.
  ///   - rowStride: the floats of its rows.
  func gather(
    tile: Int, columns: Range<Int>, of y: UnsafePointer<Float>, rowStride: Int
  ) {
    let padded = layout.padded
    for (rows, number) in layout.parts[tile] {
      let pivot = slot(number) + columns.lowerBound
      let (sum, square) = (pivot + padded, pivot + 2 * padded)
      let x = y + rows.lowerBound * rowStride + columns.lowerBound
      let few = min(rows.count, RowReduction.firstRows)
      loops.moments(x, few, rowStride, columns.count, x, sum, square)
      for c in 0..<columns.count { pivot[c] = x[c] + sum[c] / Float(few) }
      loops.moments(x, rows.count, rowStride, columns.count, pivot, sum, square)
    }
  }

  /// Merges what was gathered.
  /// - Parameter table: 4 × cells, in the layout of `MomentsLayout`.
  func merge(into table: UnsafeMutablePointer<Float>, parallelism: Parallelism) {
    let (channels, cells) = (layout.channels, layout.cellsPerImage)
    // Whole cells: as many as make some 64 channels.
    let width = channels / cells
    let blocks = RowTiles(rows: cells, target: max(1, 64 / width))
    let means = UnsafeMutableRawPointer(memory).assumingMemoryBound(to: Double.self)
    let deviations = means + layout.padded
    let all = cells * layout.slotsOfImages.count
    parallelism.forEach(blocks.count, work: layout.slots.count * channels * 8) { index, _ in
      let (block, padded) = (blocks[index], layout.padded)
      let (first, count) = (block.lowerBound * width, block.count * width)
      for (image, slots) in layout.slotsOfImages.enumerated() {
        var pixels = 0.0
        for number in slots {
          let pivot = slot(number) + first
          let more = Double(layout.slots[number].pixels)
          loops.mergeMoments(
            means + first, deviations + first, pixels, pivot, pivot + padded, pivot + 2 * padded,
            more, count)
          pixels += more
        }
        for cell in block {
          let merged = merged(
            means + cell * width, deviations + cell * width, count: width, pixels: pixels)
          let at = image * cells + cell
          let mean = Float(merged.mean)
          table[MomentsLayout.count * all + at] = Float(merged.count)
          table[MomentsLayout.mean * all + at] = mean
          table[MomentsLayout.meanResidual * all + at] = Float(merged.mean - Double(mean))
          table[MomentsLayout.squaredDeviations * all + at] = Float(merged.deviations)
        }
      }
    }
  }

  /// The moments of neighbouring channels together.
  private func merged(
    _ means: UnsafePointer<Double>, _ deviations: UnsafePointer<Double>, count: Int, pixels: Double
  ) -> (count: Double, mean: Double, deviations: Double) {
    var (all, mean, sum) = (pixels, means[0], deviations[0])
    for c in 1..<max(count, 1) {
      let gap = means[c] - mean
      let total = all + pixels
      mean += gap * pixels / total
      sum += deviations[c] + gap * gap * all * pixels / total
      all = total
    }
    return (all, mean, sum)
  }
}

/// How the moments of a convolution's result are made: tile by tile where its method makes tiles of them,
/// else by a pass over the result.
package struct ConvolutionMoments: Sendable {
  private enum Form: Sendable {
    case tiles(TileMoments.Layout)
    case pass(MomentsKernel)
  }

  private let form: Form
  /// The floats of scratch memory.
  package let scratchCount: Int

  /// - Parameter partition: channels over the batch, or a sample's channels, groups of them, or all of it.
  package init(_ kernel: ConvolutionKernel, _ partition: Partition, parallelism: Parallelism) {
    if let layout = kernel.momentsLayout(partition) {
      form = .tiles(layout)
      scratchCount = layout.memoryCount
    } else {
      let pass = MomentsKernel(partition, of: kernel.geometry.outputShape(batch: kernel.batch))
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
