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
    // Lines are broken for the terminal's width, so a paragraph must be one line.
    discussion: """
      With --json a command prints one object on standard output and nothing else; progress and \
      messages go to standard error.

      MODEL is an ONNX file, or the name of a built-in network. Completion of commands, options and files in \
      bash, zsh or fish:

        keel --generate-completion-script bash > ~/.keel-completion.bash

      Exit status: 0 done, 1 a check failed, 2 the call's arguments are wrong, 3 a file or model \
      cannot be read.
      """,
    version: "0.1.0",
    subcommands: [
      Demo.self, Summary.self, Fold.self, Verify.self, Run.self, Bench.self, Doctor.self,
    ])

  static func main() {
    let level = KeelEnvironment.current.logLevel.flatMap { Logger.Level(rawValue: $0.lowercased()) }
    LoggingSystem.bootstrap { label in
      var handler = StreamLogHandler.standardError(label: label)
      handler.logLevel = level ?? .warning
      return handler
    }
    var command: any ParsableCommand
    do { command = try parseAsRoot() } catch { end(with: error, status: 2) }
    do {
      try command.run()
    } catch let failure as CheckFailure {
      Terminal.complain("Error: \(failure.message)")
      Foundation.exit(1)
    } catch let failure as FileFailure {
      Terminal.complain("Error: \(failure.message)")
      Foundation.exit(3)
    } catch let error as KeelError {
      Terminal.complain("Error: \(error.description)")
      Foundation.exit(error.kind == .file ? 3 : error.kind == .argument ? 2 : 1)
    } catch {
      end(with: error, status: error is ValidationError ? 2 : 1)
    }
  }

  /// Prints help or the version where that was asked for, and otherwise a message.
  private static func end(with error: any Error, status: Int32) -> Never {
    if exitCode(for: error) == .success { exit(withError: error) }
    Terminal.complain(fullMessage(for: error))
    Foundation.exit(status)
  }
}
