internal import CKeelLoops
internal import KeelTensor

/// Count, mean and Σ(x − mean)² of every channel over all rows, in the layout of `MomentsLayout`.
///
/// Numerics: chunks of at most 256 rows are summed in Float around a pivot (a row of the chunk, then the
/// mean so far), chunks and tasks are merged exactly in Double (Chan, Golub and LeVeque 1979). Never
/// E[x²] − E[x]². A constant channel has its value as the mean and deviations of exactly 0.
/// Results do not depend on the number of threads. Cost: one read of x.
package struct BatchMoments: Sendable {
  private let reduction: RowReduction

  package init(rows: Int, channels: Int) {
    reduction = RowReduction(rows: rows, channels: channels)
  }

  package func scratchCount(_ parallelism: Parallelism) -> Int {
    reduction.scratchCount(parallelism)
  }

  /// - Parameters:
  ///   - x: rows × channels.
  ///   - moments: 4 × channels.
  package func run(
    _ x: UnsafePointer<Float>, into moments: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let channels = reduction.channels
    parallelism.forEach(reduction.tasks.count, work: reduction.rows * channels) { task, worker in
      let mean = reduction.table(scratch, task: task)
      let pivot = reduction.row(0, scratch, worker: worker)
      let sum = reduction.row(1, scratch, worker: worker)
      let square = reduction.row(2, scratch, worker: worker)
      let firstRow = reduction.tasks[task].lowerBound
      pivot.update(from: x + firstRow * channels, count: channels)
      reduction.forEachChunk(of: task, firstRows: RowReduction.firstRows) { first, count in
        loops.moments(x + first * channels, count, channels, pivot, sum, square)
        loops.mergeMoments(
          mean, mean + channels, Double(first - firstRow), pivot, sum, square, Double(count),
          channels)
      }
    }
    finish(moments, scratch)
  }

  /// Merges the tasks' moments in order.
  private func finish(
    _ moments: UnsafeMutablePointer<Float>, _ scratch: UnsafeMutablePointer<Float>
  ) {
    let channels = reduction.channels
    for c in 0..<channels {
      var (count, mean, deviations) = (0.0, 0.0, 0.0)
      for task in 0..<reduction.tasks.count {
        let table = reduction.table(scratch, task: task)
        let rows = Double(reduction.tasks[task].count)
        let total = count + rows
        let distance = table[c] - mean
        mean = count == 0 ? table[c] : mean + distance * (rows / total)
        deviations += table[channels + c]
        if count > 0 { deviations += distance * distance * (count * rows / total) }
        count = total
      }
      moments[MomentsLayout.count * channels + c] = Float(count)
      moments[MomentsLayout.mean * channels + c] = Float(mean)
      moments[MomentsLayout.meanResidual * channels + c] = Float(mean - Double(Float(mean)))
      moments[MomentsLayout.squaredDeviations * channels + c] = Float(deviations)
    }
  }
}
