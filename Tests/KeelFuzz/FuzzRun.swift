import Foundation
import KeelFormats
import KeelTensor

/// Runs cases one after the other within a process, and ends it where one fails.
struct FuzzRun {
  let reader: Reader
  let files: SeedFiles
  let seed: UInt64

  /// The processor time that a case may take, in seconds; the time by the clock, which other programs lengthen.
  static let timeLimit = (processor: 5, clock: 60)
  /// How the process ends where a case takes more memory than it may, and where an error says too little.
  static let status = (memory: Int32(10), error: Int32(11))

  /// Runs cases until a time.
  /// - Parameter progress: is told of each case before it runs.
  func run(from first: Int, until end: ContinuousClock.Instant, progress: (Int) -> Void) {
    _ = Self.startMemory
    var iteration = first
    while ContinuousClock.now < end {
      progress(iteration)
      run(FuzzCase(files, seed: seed, iteration: iteration))
      iteration += 1
    }
    progress(iteration)
  }

  /// Runs one case.
  func run(_ fuzzCase: FuzzCase) {
    let file = FileBytes(fuzzCase.bytes, path: fuzzCase.name)
    let before = Self.peakMemory()
    Self.setTimers(Self.timeLimit.processor, Self.timeLimit.clock)
    do throws(KeelError) { try reader.read(file, fuzzCase.name) } catch {
      if error.expected.isEmpty || error.found.isEmpty || error.place.isEmpty {
        Self.end(Self.status.error, "an error that says too little: \(error)")
      }
    }
    Self.setTimers(0, 0)
    let peak = Self.peakMemory()
    // What does not reach the peak so far is within what a case before it was allowed.
    guard peak > before else { return }
    let limit = reader.memoryLimit(fuzzCase.bytes.count)
    if peak - Self.startMemory > limit {
      Self.end(
        Self.status.memory,
        "\((peak - Self.startMemory) >> 20) MiB for \(fuzzCase.bytes.count) bytes, expected at most "
          + "\(limit >> 20)")
    }
    if peak - Self.startMemory > reader.freeMemory / 2 { Self.forgetPeak() }
  }

  private static func end(_ status: Int32, _ message: String) -> Never {
    FileHandle.standardError.write(Data((message + "\n").utf8))
    exit(status)
  }

  /// The memory of the process before the first case, when it is first asked for.
  private static let startMemory = peakMemory()

  /// The most memory that the process has had, in bytes.
  private static func peakMemory() -> Int {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
  }

  /// Has the system count the peak anew.
  private static func forgetPeak() {
    guard let file = FileHandle(forWritingAtPath: "/proc/self/clear_refs") else { return }
    try? file.write(contentsOf: Data("5".utf8))
    try? file.close()
  }

  /// Has the process ended by a signal after so many seconds; 0 for never.
  private static func setTimers(_ processor: Int, _ clock: Int) {
    var timer = itimerval()
    timer.it_value.tv_sec = processor
    setitimer(__itimer_which_t(ITIMER_PROF.rawValue), &timer, nil)
    alarm(UInt32(clock))
  }
}
