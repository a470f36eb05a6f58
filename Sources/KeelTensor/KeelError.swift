/// What Keel throws for anything that comes from data, files, weights or configuration.
///
/// Every error carries the same three facts: the place (a layer's path, an argument, a file), what
/// was expected there, and what was found. Misuse of a kernel inside the package is a precondition
/// instead.
public struct KeelError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kind of mistake, for programs that react to it.
  public enum Kind: String, Hashable, Sendable {
    /// Shapes or element types that do not fit together.
    case shape
    /// A size, count or option outside its range.
    case argument
    /// A tensor holds a value that the operation cannot take (a NaN variance, a label out of range).
    case value
    /// A graph that is not well formed, or lacks what was asked of it.
    case graph
    /// A numerical method that found no answer.
    case numerical
    /// A file that cannot be read or written.
    case file
    /// More memory than a limit allows.
    case memory
    /// A run that was asked to stop.
    case cancelled
  }

  /// The kind of mistake.
  public var kind: Kind
  /// Where: the path of the layer, the name of the argument, the file.
  public var place: String
  /// What was expected there.
  public var expected: String
  /// What was found.
  public var found: String

  /// Makes an error from its three facts.
  public init(_ kind: Kind, at place: String, expected: String, found: String) {
    self.kind = kind
    self.place = place
    self.expected = expected
    self.found = found
  }

  /// The three facts as one sentence.
  public var description: String {
    "\(kind.rawValue) error at \(place): expected \(expected), found \(found)"
  }
}
