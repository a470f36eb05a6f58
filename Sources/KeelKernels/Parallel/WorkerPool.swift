internal import CKeelLoops
internal import Dispatch
internal import Foundation
internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// Threads that stand ready for parallel regions.
///
/// Why not Dispatch alone: regions follow each other within microseconds, and waking a thread for each takes as long as
/// a small layer (`make regions` measures both). A worker looks out for the next region for a tenth of a millisecond,
/// then sleeps and leaves its core to others. A region takes those workers that are idle, so that regions of several
/// threads share them and none waits for another's; and it waits for those only that have begun: a core that is asleep,
/// or somebody else's, holds up nothing that is done without it. Starting one allocates nothing.
internal final class WorkerPool: Sendable {
  /// One worker for every CPU of the process but the caller's.
  static let shared = WorkerPool(
    workers: max(0, ProcessInfo.processInfo.activeProcessorCount - 1))

  private let workers: [Worker]

  init(workers count: Int) {
    workers = (0..<count).map { _ in Worker() }
    for worker in workers {
      let thread = Thread { worker.serve() }
      thread.name = "keel-worker"
      thread.stackSize = 1 << 20
      thread.start()
    }
  }

  /// Calls `body` with every task and a worker's number below `threads`, on the caller and up to `threads` − 1 idle
  /// workers.
  func run(_ count: Int, threads: Int, _ body: (_ task: Int, _ worker: Int) -> Void) {
    let region = Region(count: count, body: keelBody(body))
    withUnsafePointer(to: region) { region in
      var started = 0
      for worker in workers where started < threads - 1 {
        if worker.start(region) { started += 1 }
      }
      region.pointee.work(as: 0)
      // Who has not come by now finds nothing to do: a core that is asleep, or somebody else's, is not waited for.
      for worker in workers where started > 0 && worker.revoke(region) { started -= 1 }
      region.pointee.waitForWorkers(started)
    }
  }
}

/// A closure's function and context, which are valid while the call that was given the closure lasts. Swift's own
/// `withoutActuallyEscaping` allocates, in every region.
@_silgen_name("keel_body")
private func keelBody(_ body: (_ task: Int, _ worker: Int) -> Void) -> KeelBody

/// Tasks that several threads pull from one counter.
private struct Region: ~Copyable {
  private let next = Atomic<Int>(0)
  private let joined = Atomic<Int>(0)
  private let finished = Atomic<Int>(0)
  private let count: Int
  private let body: KeelBody

  init(count: Int, body: KeelBody) {
    self.count = count
    self.body = body
  }

  func work(as worker: Int) {
    while true {
      let task = next.wrappingAdd(1, ordering: .relaxed).oldValue
      guard task < count else { return }
      keel_call(body, task, worker)
    }
  }

  /// What a worker does.
  func join() { work(as: joined.wrappingAdd(1, ordering: .relaxed).newValue) }

  /// Tells the caller, who may take the region away from then on.
  func leave() { finished.wrappingAdd(1, ordering: .releasing) }

  /// Waits until so many workers, who have joined, find nothing left.
  func waitForWorkers(_ started: Int) {
    var turns = 0
    while finished.load(ordering: .acquiring) < started {
      turns += 1
      // The worker's core may be somebody else's for now, or be this one. A sleep takes twice as long as it says.
      switch turns {
      case ...Lookout.turns: keel_pause()
      case ...(2 * Lookout.turns): sched_yield()
      default: usleep(Lookout.nap)
      }
    }
  }
}

/// How long threads look out for one another before they leave their cores to others.
private enum Lookout {
  /// Turns of pausing: a pause takes 10 to 50 ns, as the CPU likes.
  static let turns: Int = {
    let trial = 1000
    let start = DispatchTime.now().uptimeNanoseconds
    for _ in 0..<trial { keel_pause() }
    let nanoseconds = max(1, DispatchTime.now().uptimeNanoseconds - start)
    return max(100, min(100 * trial, trial * Self.nanoseconds / Int(nanoseconds)))
  }()
  private static let nanoseconds = 100_000
  /// Microseconds of a caller's sleep, where its workers take longer than that.
  static let nap: UInt32 = 50
}

/// One thread and what it is to do.
private final class Worker: Sendable {
  /// What `task` holds, besides the address of a region that it has been given: it is free, or at work on one.
  private static let (idle, claimed) = (UInt(0), UInt(1))
  private let task = Atomic<UInt>(Worker.idle)
  private let sleeps = Atomic<Bool>(false)
  private let bell = DispatchSemaphore(value: 0)

  /// Takes the worker for a region, if it is idle.
  func start(_ region: UnsafePointer<Region>) -> Bool {
    guard
      task.compareExchange(
        expected: Worker.idle, desired: Worker.claimed, ordering: .acquiringAndReleasing
      ).exchanged
    else { return false }
    task.store(UInt(bitPattern: region), ordering: .sequentiallyConsistent)
    if sleeps.exchange(false, ordering: .sequentiallyConsistent) { bell.signal() }
    return true
  }

  /// Takes a region back that the worker has not begun.
  func revoke(_ region: UnsafePointer<Region>) -> Bool {
    let given = UInt(bitPattern: region)
    guard task.load(ordering: .relaxed) == given else { return false }
    return task.compareExchange(
      expected: given, desired: Worker.idle, ordering: .acquiringAndReleasing
    ).exchanged
  }

  /// Serves regions until the process ends.
  func serve() -> Never {
    while true {
      let region = nextRegion()
      region.pointee.join()
      // Idle before the caller knows: its next region follows at once.
      task.store(Worker.idle, ordering: .sequentiallyConsistent)
      region.pointee.leave()
    }
  }

  private func nextRegion() -> UnsafePointer<Region> {
    var turns = 0
    while true {
      if let region = begin() { return region }
      turns += 1
      guard turns > Lookout.turns else {
        keel_pause()
        continue
      }
      sleeps.store(true, ordering: .sequentiallyConsistent)
      // What was given between the look and the sleep: either it is seen here, or the bell rings.
      if !isGiven {
        bell.wait()
      } else if !sleeps.exchange(false, ordering: .sequentiallyConsistent) {
        bell.wait()
      }
      turns = 0
    }
  }

  private var isGiven: Bool { task.load(ordering: .sequentiallyConsistent) > Worker.claimed }

  /// The region that has been given, if it is not taken back in the meantime.
  private func begin() -> UnsafePointer<Region>? {
    let given = task.load(ordering: .acquiring)
    guard
      given > Worker.claimed,
      task.compareExchange(
        expected: given, desired: Worker.claimed, ordering: .acquiringAndReleasing
      ).exchanged
    else { return nil }
    return UnsafePointer(bitPattern: given)
  }
}
