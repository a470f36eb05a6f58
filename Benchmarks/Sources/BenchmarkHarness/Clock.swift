import Foundation

/// Seconds on a clock that never steps back.
public func steadySeconds() -> Double {
  Double(DispatchTime.now().uptimeNanoseconds) * 1e-9
}

/// Waits until no thread of this process is running, at most half a second.
///
/// OpenBLAS's workers poll for a while after a call with several threads and would take a core from
/// whatever is timed next.
public func settleProcess() {
  let limit = steadySeconds() + 0.5
  while steadySeconds() < limit {
    let (start, used) = (steadySeconds(), processorSeconds())
    Thread.sleep(forTimeInterval: 0.001)
    let share = (processorSeconds() - used) / (steadySeconds() - start)
    if share < 0.2 { return }
  }
}

/// Processor time that all threads of this process have used.
private func processorSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
