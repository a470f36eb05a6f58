import ArgumentParser
import BenchmarkHarness

/// Exit status: 0 done, 1 a check failed, 2 the call's arguments are wrong.
@main
enum Main {
  static func main() {
    startAgainWithShortPolling()
    do {
      try ConvolutionBenchmark.parse().run()
    } catch {
      let status = ConvolutionBenchmark.exitCode(for: error)
      guard status == .success else {
        complain(ConvolutionBenchmark.fullMessage(for: error))
        ConvolutionBenchmark.exit(withError: ExitCode(status == .validationFailure ? 2 : 1))
      }
      ConvolutionBenchmark.exit(withError: error)
    }
  }
}
