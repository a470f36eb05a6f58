import ArgumentParser
import Keel

/// A check that did not hold: the command ends with status 1.
struct CheckFailure: Error {
  let message: String
}

/// A file or model that cannot be read or written: the command ends with status 3.
struct FileFailure: Error {
  let message: String
}

/// Reads a file or model: what is wrong with it ends the command with status 3.
func reading<Value>(_ body: () throws -> Value) throws -> Value {
  do { return try body() } catch let error as KeelError {
    throw FileFailure(message: error.description)
  }
}

/// Does what depends on the call's arguments: what is wrong with them ends the command with status 2.
func asArguments<Value>(_ body: () throws -> Value) throws -> Value {
  do { return try body() } catch let error as KeelError where error.kind != .file {
    throw ValidationError(error.description)
  }
}

/// Refuses an option's value outside a range.
func check(_ option: String, _ value: Int?, in range: ClosedRange<Int>) throws {
  guard let value, !range.contains(value) else { return }
  throw ValidationError(
    "\(option): expected \(range.lowerBound) to \(grouped(range.upperBound)), found \(value)")
}
