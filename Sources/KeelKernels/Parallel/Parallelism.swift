/// How many threads a kernel may use. A kernel cuts its work into tasks that do not depend on this
/// number, so results are bitwise the same for any of them.
public struct Parallelism: Sendable, Hashable {
  /// The number of threads, at least 1.
  public let threadCount: Int

  /// One thread: the calling one.
  public static let serial = Parallelism(threads: 1)

  /// Makes a value from a thread count; counts below 1 become 1.
  public init(threads: Int? = nil) { threadCount = max(1, threads ?? ThreadCount.automatic) }

  /// Runs tasks 0..<count, each once, in any order, on up to `threadCount` threads, and returns when
  /// all are done. The caller and idle threads of a pool pull tasks from one counter.
  ///
  /// - Parameters:
  ///   - work: an estimate of all the work in floating-point or memory operations. Below about 5 µs of
  ///     work, waking another thread costs more than it saves, and the caller does everything.
  ///   - body: called with the task and the number of the worker (0..<threadCount), which tells apart
  ///     scratch memory. It runs on several threads at once: what it writes must depend on the task or
  ///     the worker alone.
  package func forEach(_ count: Int, work: Int, _ body: (_ task: Int, _ worker: Int) -> Void) {
    let workers = min(threadCount, count)
    guard workers > 1, work >= Self.worthwhileWork else {
      for task in 0..<count { body(task, 0) }
      return
    }
    WorkerPool.shared.run(count, threads: workers, body)
  }

  /// About 5 µs of one core's arithmetic: what a region costs where workers look out for it.
  package static let worthwhileWork = 250_000
}
