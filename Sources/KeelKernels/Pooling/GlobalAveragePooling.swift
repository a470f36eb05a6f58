internal import CKeelLoops

/// The mean over an image's positions, N×P×C → N×C, and its gradient.
package struct GlobalAveragePooling: Sendable {
  package let batch: Int
  package let positions: Int
  package let channels: Int

  package init(batch: Int, positions: Int, channels: Int) {
    self.batch = batch
    self.positions = positions
    self.channels = channels
  }

  /// Sums of at most `RowReduction.chunkRows` positions in Float are added to the result one by one.
  package func run(
    _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    parallelism.forEach(batch, work: batch * positions * channels) { image, worker in
      let source = x + image * positions * channels
      let target = y + image * channels
      let partial = scratch + worker * channels
      loops.sumRows(source, min(positions, RowReduction.chunkRows), channels, target)
      var first = RowReduction.chunkRows
      while first < positions {
        let count = min(RowReduction.chunkRows, positions - first)
        loops.sumRows(source + first * channels, count, channels, partial)
        loops.add(target, target, partial, channels)
        first += count
      }
      loops.scale(target, target, 1 / Float(positions), channels)
    }
  }

  /// The floats of scratch memory for `run`.
  package func scratchCount(_ parallelism: Parallelism) -> Int {
    channels * parallelism.threadCount
  }

  package func gradient(
    _ dy: UnsafePointer<Float>, into dx: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    parallelism.forEach(batch, work: batch * positions * channels) { image, _ in
      let first = dx + image * positions * channels
      loops.scale(first, dy + image * channels, 1 / Float(positions), channels)
      for position in 1..<max(positions, 1) {
        (first + position * channels).update(from: first, count: channels)
      }
    }
  }
}
