import Foundation
import Testing

/// One run of the built `keel` as a process, with what it printed and its exit status.
struct CommandRun: Sendable {
  let status: Int32
  let output: String
  let messages: String

  /// Runs the command to its end.
  /// - Parameters:
  ///   - arguments: what follows `keel`.
  ///   - environment: settings for this run; variables of Keel that the tests run under are not passed on.
  init(_ arguments: [String], environment: [String: String] = [:]) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    // Files, because a pipe that nobody empties stops the command.
    let (output, messages) = (
      folder.appendingPathComponent("out"), folder.appendingPathComponent("err")
    )
    let process = Process()
    process.executableURL = try Self.executable()
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment
      .filter { !$0.key.hasPrefix("KEEL_") }.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try Self.create(output)
    process.standardError = try Self.create(messages)
    try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
      process.terminationHandler = { _ in done.resume() }
      do { try process.run() } catch {
        process.terminationHandler = nil
        done.resume(throwing: error)
      }
    }
    status = process.terminationStatus
    self.output = try String(contentsOf: output, encoding: .utf8)
    self.messages = try String(contentsOf: messages, encoding: .utf8)
    if process.terminationReason != .exit {
      Issue.record("keel \(arguments.joined(separator: " ")) ended by a signal: \(self.messages)")
    }
  }

  /// The output as one JSON object.
  func json<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(type, from: Data(output.utf8))
  }

  /// The keys of the output's JSON object.
  func keys() throws -> Set<String> {
    let object = try JSONSerialization.jsonObject(with: Data(output.utf8))
    return Set(try #require(object as? [String: Any]).keys)
  }

  /// The executable, which the package manager puts beside the tests.
  private static func executable() throws -> URL {
    let tests = try #require(Bundle.main.executableURL)
    let file = tests.deletingLastPathComponent().appendingPathComponent("keel")
    try #require(FileManager.default.isExecutableFile(atPath: file.path), "no keel beside \(tests)")
    return file
  }

  private static func create(_ file: URL) throws -> FileHandle {
    try Data().write(to: file)
    return try FileHandle(forWritingTo: file)
  }
}

extension CommandRun {
  /// Runs the command to its end.
  init(_ arguments: String..., environment: [String: String] = [:]) async throws {
    try await self.init(arguments, environment: environment)
  }
}
