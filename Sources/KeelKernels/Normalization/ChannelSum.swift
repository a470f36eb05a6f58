internal import CKeelLoops

/// The sum of every channel over all rows: chunks in Float, their sums in Double, independent of the
/// number of threads.
package struct ChannelSum: Sendable {
  private let reduction: RowReduction

  package init(rows: Int, channels: Int) {
    reduction = RowReduction(rows: rows, channels: channels)
  }

  package func scratchCount(_ parallelism: Parallelism) -> Int {
    reduction.scratchCount(parallelism)
  }

  package func run(
    _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let channels = reduction.channels
    parallelism.forEach(reduction.tasks.count, work: reduction.rows * channels) { task, worker in
      let sums = reduction.table(scratch, task: task)
      let sum = reduction.row(0, scratch, worker: worker)
      sums.update(repeating: 0, count: 2 * channels)
      reduction.forEachChunk(of: task) { first, count in
        loops.sumRows(x + first * channels, count, channels, sum)
        loops.accumulate(sums, sum, channels)
      }
    }
    reduction.addTables(scratch)
    let sums = reduction.table(scratch, task: 0)
    for c in 0..<channels { y[c] = Float(sums[c]) }
  }
}
