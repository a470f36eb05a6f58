import ArgumentParser
import BenchmarkHarness

/// Exit status: 0 done, 1 a check failed, 2 the call's arguments are wrong.
@main
enum Main {
  static func main() {
    do {
      try NormalizationBenchmark.parse().run()
    } catch {
      let status = NormalizationBenchmark.exitCode(for: error)
      guard status == .success else {
        complain(NormalizationBenchmark.fullMessage(for: error))
        NormalizationBenchmark.exit(withError: ExitCode(status == .validationFailure ? 2 : 1))
      }
      NormalizationBenchmark.exit(withError: error)
    }
  }
}
