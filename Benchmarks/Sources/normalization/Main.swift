import BenchmarkHarness

/// Exit status: 0 done, 1 a check failed, 2 the call's arguments are wrong.
@main
enum Main {
  static func main() {
    runBenchmark(NormalizationBenchmark.self)
  }
}
