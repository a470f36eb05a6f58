import Foundation

/// Starts the program again with `OPENBLAS_THREAD_TIMEOUT` set, where the caller has not set it.
///
/// OpenBLAS's threads poll for about 0.1 s after a call, and `compare` waits for them after each sample.
/// 2²⁰ ticks, half a millisecond, are still longer than the gaps between calls of one sample. OpenBLAS
/// reads the variable when it is loaded, before any line of the program: hence the second start.
public func startAgainWithShortPolling() {
  #if os(Linux)
    guard getenv("OPENBLAS_THREAD_TIMEOUT") == nil else { return }
    setenv("OPENBLAS_THREAD_TIMEOUT", "20", 1)
    var arguments = CommandLine.arguments.map { strdup($0) } + [nil]
    // Returns only where it fails, and then the waits are longer.
    execv("/proc/self/exe", &arguments)
  #endif
}
