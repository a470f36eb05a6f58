internal import KeelCBLAS
internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The one owner of OpenBLAS's thread count.
///
/// The count is a setting of the whole process: the OpenBLAS of today's distributions has none per
/// thread or per call. Keel claims it before its first BLAS call and sets it to 1, because
///
/// - Keel cuts its work into tiles and runs them side by side, each with calls of one thread, which
///   was measured faster on the shapes of convolutional networks than OpenBLAS's own threads;
/// - calls with several threads take one lock for the whole process (`level3_lock`) and so run one
///   after the other, where calls of one thread never touch it;
/// - OpenBLAS's idle workers poll for a tenth of a second after each call, on the cores that
///   Keel's own threads need.
///
/// A program that uses OpenBLAS for other work gets its own count back by `release()`; the next
/// BLAS call through Keel claims it anew. A program that sets the count behind Keel's back changes
/// Keel's speed, not its results' validity.
public enum BLASThreads {
  /// Whether the count is Keel's at present: the one load that every wrapper pays.
  private static let isClaimed = Atomic<Bool>(false)
  private static let setting = ProcessSetting()

  /// Sets the count to 1 if Keel has not done so since the start or the last `release()`.
  ///
  /// Every wrapper calls this first. Safe from any thread.
  @inline(__always)
  public static func claim() {
    if !isClaimed.load(ordering: .acquiring) { claimSlowly() }
  }

  @inline(never)
  private static func claimSlowly() {
    setting.withLock {
      guard !isClaimed.load(ordering: .relaxed) else { return }
      setting.before = openblas_get_num_threads()
      openblas_set_num_threads(1)
      isClaimed.store(true, ordering: .releasing)
    }
  }

  /// Gives back the count that the program had when Keel claimed it; does nothing if it is not
  /// claimed.
  ///
  /// Waits for the end of another thread's `withThreads`.
  /// - Precondition: not called from the body of `withThreads`.
  public static func release() {
    setting.withLock {
      precondition(setting.depth == 0, "release() in the body of withThreads(_:_:)")
      guard isClaimed.load(ordering: .relaxed) else { return }
      openblas_set_num_threads(setting.before)
      isClaimed.store(false, ordering: .releasing)
    }
  }

  /// Runs a closure with OpenBLAS's own threads and restores the count afterwards, also after a throw.
  ///
  /// Only one thread at a time can be in such a closure, others wait; calls may nest. BLAS calls
  /// that other threads make meanwhile see the same count, because it is the process's.
  /// OpenBLAS cuts a count above its build's limit.
  /// - Precondition: `count` is at least 1.
  public static func withThreads<Result, Failure: Error>(
    _ count: Int, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    precondition(count >= 1, "thread count: expected at least 1, found \(count)")
    setting.lock()
    claim()
    let outer = openblas_get_num_threads()
    setting.depth += 1
    openblas_set_num_threads(narrowed(count, "thread count"))
    defer {
      openblas_set_num_threads(outer)
      setting.depth -= 1
      setting.unlock()
    }
    return try body()
  }

  /// The count that OpenBLAS has at present, whoever set it.
  public static var current: Int { Int(openblas_get_num_threads()) }
}

/// What `BLASThreads` remembers, behind a lock that its holder may take again.
///
/// Sendable although it has variables: they are touched only under the lock. The lock lives behind
/// a pointer because a pthread mutex must not move.
private final class ProcessSetting: @unchecked Sendable {
  /// The count before Keel claimed it.
  var before: CInt = 1
  /// The number of `withThreads` calls that are running, nested.
  var depth = 0
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  init() {
    var attributes = pthread_mutexattr_t()
    pthread_mutexattr_init(&attributes)
    pthread_mutexattr_settype(&attributes, CInt(PTHREAD_MUTEX_RECURSIVE))
    pthread_mutex_init(mutex, &attributes)
    pthread_mutexattr_destroy(&attributes)
  }

  func lock() { pthread_mutex_lock(mutex) }
  func unlock() { pthread_mutex_unlock(mutex) }

  func withLock(_ body: () -> Void) {
    lock()
    defer { unlock() }
    body()
  }
}
