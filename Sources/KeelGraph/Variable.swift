import KeelTensor

/// A value of a graph under tracing: what layers take and give.
public struct Variable {
  /// The trace that records it.
  public let trace: Trace
  /// The value; nil after an error, which the trace keeps.
  public let value: ValueID?

  internal init(trace: Trace, value: ValueID?) {
    self.trace = trace
    self.value = value
  }

  /// The type; nil after an error.
  public var type: ValueType? { value.map { trace.type(of: $0) } }

  /// The same elements as a matrix: the first axis stays, the others become one (channels last, so in
  /// the order H, W, C).
  public func flattened() -> Variable {
    guard let type else { return self }
    let tail = type.extents.dropFirst().map(\.fixedValue)
    guard type.rank >= 1, tail.allSatisfy({ $0 != nil }) else {
      trace.fail(
        KeelError(
          .shape, at: "flatten after \(trace.lastLayer)",
          expected: "known extents after the first axis", found: "\(type)"))
      return trace.nothing()
    }
    let count = tail.reduce(1) { $0 * $1! }
    return trace.apply(.reshape([type.extents[0], .fixed(count)]), [self])[0]
  }
}
