import Foundation
import Synchronization

/// Runs a body on several threads that start together, and returns the seconds from the first start
/// to the last end. The calling thread is one of them.
/// - Parameter body: called once per thread with its number.
public func timeTogether(threads: Int, _ body: @escaping @Sendable (Int) -> Void) -> Double {
  precondition(threads >= 1, "at least 1 thread, not \(threads)")
  let gate = Gate()
  @Sendable func run(_ index: Int) {
    gate.arrivals.wrappingAdd(1, ordering: .acquiringAndReleasing)
    // Spinning, not sleeping: waking up would be part of the time. Yielding, for fewer cores.
    while gate.arrivals.load(ordering: .acquiring) < threads { sched_yield() }
    let start = steadySeconds()
    body(index)
    let end = steadySeconds()
    gate.span.withLock { $0 = (min($0.start, start), max($0.end, end)) }
  }
  let group = DispatchGroup()
  for index in stride(from: 1, to: threads, by: 1) {
    group.enter()
    Thread {
      run(index)
      group.leave()
    }.start()
  }
  run(0)
  group.wait()
  return gate.span.withLock { $0.end - $0.start }
}

/// What threads that start together share.
private final class Gate: Sendable {
  let arrivals = Atomic<Int>(0)
  let span = Mutex((start: Double.infinity, end: -Double.infinity))
}
