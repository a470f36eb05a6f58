import ArgumentParser
import BenchmarkHarness

/// Exit status: 0 done, 1 a check failed, 2 the call's arguments are wrong.
@main
enum Main {
  static func main() {
    do {
      try MemoryBenchmark.parse().run()
    } catch {
      let status = MemoryBenchmark.exitCode(for: error)
      guard status == .success else {
        complain(MemoryBenchmark.fullMessage(for: error))
        MemoryBenchmark.exit(withError: ExitCode(status == .validationFailure ? 2 : 1))
      }
      MemoryBenchmark.exit(withError: error)
    }
  }
}
