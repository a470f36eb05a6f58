import ArgumentParser
import Foundation
import Keel
import Logging

/// The `keel` command.
@main
struct KeelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keel",
    abstract: "Fused normalization, convolution and linear kernels on OpenBLAS, from the shell.",
    discussion: """
      With --json a command prints one object on standard output and nothing else; progress and
      messages go to standard error. Exit status: 0 done, 1 a check failed, 2 the call's arguments are
      wrong, 3 a file or model cannot be read.
      """,
    version: "0.1.0",
    subcommands: [Demo.self, Bench.self, Doctor.self])

  static func main() {
    let level = KeelEnvironment.current.logLevel.flatMap { Logger.Level(rawValue: $0.lowercased()) }
    LoggingSystem.bootstrap { label in
      var handler = StreamLogHandler.standardError(label: label)
      handler.logLevel = level ?? .warning
      return handler
    }
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let failure as CheckFailure {
      Terminal.complain(failure.message)
      Foundation.exit(1)
    } catch let error as KeelError {
      Terminal.complain(error.description)
      Foundation.exit(error.kind == .file ? 3 : error.kind == .argument ? 2 : 1)
    } catch {
      guard exitCode(for: error) != .success else { exit(withError: error) }
      Terminal.complain(fullMessage(for: error))
      Foundation.exit(2)
    }
  }
}

/// A check that did not hold: the command ends with status 1.
struct CheckFailure: Error {
  let message: String
}
