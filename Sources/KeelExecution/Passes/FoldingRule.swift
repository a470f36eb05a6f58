internal import KeelGraph

/// One way to make a graph smaller without changing what it computes.
internal protocol FoldingRule {
  /// Applies the rule to the operation at a position.
  /// - Returns: whether it did; false where the rule is not about that kind of operation.
  /// - Throws: `Refusal` where the rule is about that kind of operation but cannot be applied; nothing is
  ///   changed then.
  static func apply(at position: Int, _ state: inout FoldingState) throws(Refusal) -> Bool
}

/// Why a rule leaves an operation alone.
internal struct Refusal: Error {
  /// The reason, as the report gives it.
  let reason: String

  init(_ reason: String) { self.reason = reason }
}
