internal import CKeelLoops
package import KeelTensor

/// y = x where x > 0, slope·x elsewhere, with one slope for all or one per channel.
package struct ParametricReLUKernel: Sendable {
  private let count: Int
  private let slopes: Int
  private let reduction: RowReduction

  /// Prepares for a shape.
  package init(_ shape: Shape, slopes: Int) {
    count = shape.elementCount
    self.slopes = slopes
    reduction = RowReduction(rows: shape.rowCount, channels: shape.channelCount)
  }

  /// y = f(x). Aliasing: y may be x.
  package func run(
    _ x: UnsafePointer<Float>, slope: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    parallelism: Parallelism
  ) {
    if slopes == 1 {
      Elementwise.forEachSlice(count, work: count, parallelism) {
        loops.parametricReLU(y + $0, x + $0, slope, 0, 1, $1)
      }
      return
    }
    let channels = reduction.channels
    parallelism.forEach(reduction.tasks.count, work: count) { task, _ in
      let range = reduction.tasks[task]
      let first = range.lowerBound * channels
      loops.parametricReLU(y + first, x + first, slope, 1, range.count, channels)
    }
  }

  /// The floats of scratch memory for `gradient`.
  package func scratchCount(_ parallelism: Parallelism) -> Int {
    reduction.scratchCount(parallelism)
  }

  /// dx = dy where x > 0, slope·dy elsewhere; dSlope = Σ of x·dy elsewhere. Sums run in Float over at most
  /// 256 rows and are merged in Double. Aliasing: dx may be dy.
  package func gradient(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, slope: UnsafePointer<Float>,
    into dx: UnsafeMutablePointer<Float>, dSlope: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let channels = reduction.channels
    parallelism.forEach(reduction.tasks.count, work: 2 * count) { task, worker in
      let sums = reduction.table(scratch, task: task)
      let sum = reduction.row(0, scratch, worker: worker)
      let row = reduction.row(1, scratch, worker: worker)
      for c in 0..<channels { row[c] = slope[slopes == 1 ? 0 : c] }
      sums.update(repeating: 0, count: 2 * channels)
      reduction.forEachChunk(of: task) { first, rows in
        let at = first * channels
        loops.parametricReLUGradient(dx + at, sum, dy + at, x + at, row, rows, channels)
        loops.accumulate(sums, sum, channels)
      }
    }
    reduction.addTables(scratch)
    let sums = reduction.table(scratch, task: 0)
    if slopes == 1 {
      var total = 0.0
      for c in 0..<channels { total += sums[c] }
      dSlope.pointee = Float(total)
    } else {
      for c in 0..<channels { dSlope[c] = Float(sums[c]) }
    }
  }
}
