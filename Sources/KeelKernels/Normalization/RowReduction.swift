/// How sums over all rows of rows × channels are cut: into tasks that run side by side, and within a
/// task into chunks that are summed in Float and merged in Double. The cut depends on the sizes only.
internal struct RowReduction: Hashable, Sendable {
  let rows: Int
  let channels: Int
  let tasks: RowTiles

  /// Rows of a chunk: Float sums of 256 terms lose about four bits at worst, one on average.
  static let chunkRows = 256
  /// Rows of a task's first chunk of moments, whose pivot is a single row.
  static let firstRows = 16
  /// Elements that are worth a task.
  static let elementsPerTask = 65_536
  /// The most tasks: each has a table of its own.
  static let mostTasks = 64

  init(rows: Int, channels: Int) {
    self.rows = rows
    self.channels = channels
    let target = max(
      Self.chunkRows, Self.elementsPerTask / max(channels, 1),
      (rows + Self.mostTasks - 1) / Self.mostTasks)
    tasks = RowTiles(rows: rows, target: target)
  }

  /// Doubles of a table of two values per channel for each task.
  var tableCount: Int { 2 * channels * tasks.count }

  /// Floats of scratch memory: the tasks' tables, and three rows for each worker.
  func scratchCount(_ parallelism: Parallelism) -> Int {
    2 * tableCount + 3 * paddedChannels * parallelism.threadCount
  }

  private var paddedChannels: Int { (channels + 15) / 16 * 16 }

  /// A task's two rows of Doubles.
  func table(_ scratch: UnsafeMutablePointer<Float>, task: Int) -> UnsafeMutablePointer<Double> {
    UnsafeMutableRawPointer(scratch).assumingMemoryBound(to: Double.self) + task * 2 * channels
  }

  /// One of a worker's three rows of Floats.
  func row(
    _ index: Int, _ scratch: UnsafeMutablePointer<Float>, worker: Int
  ) -> UnsafeMutablePointer<Float> {
    scratch + 2 * tableCount + (worker * 3 + index) * paddedChannels
  }

  /// Calls a closure with each chunk of a task.
  func forEachChunk(
    of task: Int, _ body: (_ first: Int, _ count: Int) -> Void
  ) {
    let range = tasks[task]
    var first = range.lowerBound
    while first < range.upperBound {
      let count = min(Self.chunkRows, range.upperBound - first)
      body(first, count)
      first += count
    }
  }

  /// Adds the tables of all tasks, in order, into the first.
  func addTables(_ scratch: UnsafeMutablePointer<Float>) {
    let sum = table(scratch, task: 0)
    for task in 1..<max(tasks.count, 1) {
      let other = table(scratch, task: task)
      for i in 0..<2 * channels { sum[i] += other[i] }
    }
  }
}
