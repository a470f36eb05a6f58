import ArgumentParser

/// Runs a benchmark's command and ends the process where it fails: exit status 1 for a check that failed, 2
/// for wrong arguments.
public func runBenchmark(_ command: (some ParsableCommand).Type) {
  do {
    var benchmark = try command.parse()
    try benchmark.run()
  } catch {
    let status = command.exitCode(for: error)
    guard status == .success else {
      complain(command.fullMessage(for: error))
      command.exit(withError: ExitCode(status == .validationFailure ? 2 : 1))
    }
    command.exit(withError: error)
  }
}
