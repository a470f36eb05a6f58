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

/// The lines whose names match the regular expression of `--lines`; all where there is none.
/// - Throws: `ValidationError` for what is no regular expression.
public func chosen<Line>(
  _ lines: [Line], matching pattern: String?, name: (Line) -> String
) throws -> [Line] {
  guard let pattern else { return lines }
  guard let expression = try? Regex(pattern).ignoresCase() else {
    throw ValidationError("--lines is not a regular expression: \(pattern)")
  }
  return lines.filter { name($0).contains(expression) }
}
