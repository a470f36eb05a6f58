internal import CKeelLoops

/// Softmax and its logarithm along rows, and their gradients from the results.
///
/// The largest element is subtracted first, so no exponential overflows; sums over a row run in Float over
/// at most 64 vectors, then in Double. Aliasing: the result may be any operand.
package struct SoftmaxKernel: Sendable {
  private let columns: Int
  private let tasks: RowTiles
  private let isLog: Int32

  package init(rows: Int, columns: Int, isLog: Bool) {
    self.columns = columns
    self.isLog = isLog ? 1 : 0
    tasks = RowTiles(rows: rows, target: max(1, 32_768 / max(columns, 1)))
  }

  private var work: Int { tasks.rows * columns * 8 }

  package func run(
    _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    parallelism.forEach(tasks.count, work: work) { task, _ in
      let at = tasks[task].lowerBound * columns
      loops.softmax(y + at, x + at, tasks[task].count, columns, isLog)
    }
  }

  package func gradient(
    _ dy: UnsafePointer<Float>, from y: UnsafePointer<Float>,
    into dx: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    parallelism.forEach(tasks.count, work: work) { task, _ in
      let at = tasks[task].lowerBound * columns
      loops.softmaxGradient(dx + at, dy + at, y + at, tasks[task].count, columns, isLog)
    }
  }
}
