import Foundation
import Keel

/// The most memory that the process has had resident, in bytes.
///
/// Not `getrusage` on Linux: what that counts starts with the memory of the process that started this one.
func peakResidentByteCount() -> Int {
  #if os(Linux)
    // A line such as `VmHWM:     45052 kB`.
    let status = SystemFile.text(of: "/proc/self/status") ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    let number = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }
    return 1024 * (number ?? 0)
  #else
    var usage = rusage()
    getrusage(RUSAGE_SELF, &usage)
    return usage.ru_maxrss
  #endif
}
