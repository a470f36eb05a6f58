import CAllocationCounter
import Foundation
import KeelKernels
import KeelTensor
import Synchronization
import Testing

/// Class contract: how work is spread over threads.
@Suite struct ParallelismTests {
  @Test(arguments: [0, 1, 2, 3, 17, 1000], [1, 2, 3, 8])
  func everyTaskOnce(count: Int, threads: Int) {
    for work in [0, Parallelism.worthwhileWork - 1, Parallelism.worthwhileWork, .max] {
      let parallelism = Parallelism(threads: threads)
      let calls = Mutex([Int](repeating: 0, count: count))
      let workers = Mutex<Set<Int>>([])
      parallelism.forEach(count, work: work) { task, worker in
        calls.withLock { $0[task] += 1 }
        _ = workers.withLock { $0.insert(worker) }
      }
      #expect(calls.withLock { $0 } == [Int](repeating: 1, count: count))
      #expect(workers.withLock { $0.allSatisfy { $0 >= 0 && $0 < threads } })
      if work < Parallelism.worthwhileWork || threads == 1 {
        #expect(workers.withLock { $0 }.subtracting([0]).isEmpty)
      }
    }
  }

  @Test func aWorkerRunsOneTaskAtATime() {
    // Scratch memory belongs to a worker: two tasks of one number must never run at once.
    let parallelism = Parallelism(threads: 4)
    let busy = (0..<4).map { _ in Counter() }
    let clashes = Counter()
    parallelism.forEach(2000, work: .max) { _, worker in
      if busy[worker].value.wrappingAdd(1, ordering: .acquiringAndReleasing).oldValue != 0 {
        clashes.value.wrappingAdd(1, ordering: .relaxed)
      }
      busy[worker].value.wrappingSubtract(1, ordering: .acquiringAndReleasing)
    }
    #expect(clashes.value.load(ordering: .relaxed) == 0)
  }

  /// Regions of several callers share the pool's workers, again and again, sleeping or not.
  @Test func regionsOfSeveralCallers() async {
    let sum = Counter()
    await withTaskGroup(of: Void.self) { group in
      for caller in 0..<6 {
        group.addTask {
          for round in 0..<200 {
            Parallelism(threads: 3).forEach(8, work: .max) { _, _ in
              sum.value.wrappingAdd(1, ordering: .relaxed)
            }
            if round % 50 == caller { try? await Task.sleep(for: .milliseconds(3)) }
          }
        }
      }
    }
    #expect(sum.value.load(ordering: .relaxed) == 6 * 200 * 8)
  }

  /// Regions that end before a worker has come, asleep or looking out, are taken back: no task runs twice or later.
  @Test func regionsThatEndFirst() {
    let sum = Counter()
    let parallelism = Parallelism(threads: 4)
    for round in 0..<20_000 {
      if round % 500 == 0 { usleep(300) }
      parallelism.forEach(2, work: .max) { _, _ in sum.value.wrappingAdd(1, ordering: .relaxed) }
      #expect(sum.value.load(ordering: .relaxed) == 2 * (round + 1))
    }
  }

  @Test func regionsMayNest() {
    let sum = Counter()
    let parallelism = Parallelism(threads: 3)
    parallelism.forEach(5, work: .max) { _, _ in
      parallelism.forEach(7, work: .max) { _, _ in
        sum.value.wrappingAdd(1, ordering: .relaxed)
      }
    }
    #expect(sum.value.load(ordering: .relaxed) == 35)
  }

  /// On the calling thread: a region's memory is the caller's stack.
  @Test(.enabled(if: keel_counts_allocations() != 0, "needs glibc"), arguments: [1, 2, 3, 8])
  func allocationsOfARegion(threads: Int) {
    let parallelism = Parallelism(threads: threads)
    let sum = Counter()
    for work in [0, Int.max] {
      for round in 0..<50 {
        let before = keel_allocation_count()
        parallelism.forEach(16, work: work) { _, _ in
          sum.value.wrappingAdd(1, ordering: .relaxed)
        }
        let count = Int(keel_allocation_count() - before)
        // The first region of the process starts the pool.
        if round > 0 { #expect(count == 0) }
      }
    }
  }

  @Test func threadCounts() {
    #expect(ThreadCount.automatic >= 1)
    #expect(Parallelism().threadCount == ThreadCount.automatic)
    #expect(Parallelism(threads: 0).threadCount == 1)
    #expect(Parallelism(threads: -3).threadCount == 1)
    #expect(Parallelism(threads: 5).threadCount == 5)
    #expect(Parallelism.serial.threadCount == 1)
  }
}

private final class Counter: Sendable {
  let value = Atomic<Int>(0)
}
