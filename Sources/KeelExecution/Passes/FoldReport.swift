/// What folding did to a graph, and what it left and why.
public struct FoldReport: Hashable, Sendable {
  /// What became of an operation.
  public enum Outcome: Hashable, Sendable {
    /// Its numbers went into another operation's weights.
    case folded
    /// It is done to each tile of another operation's result.
    case fused
    /// It stays an operation of its own.
    case kept(reason: String)
  }

  /// One operation.
  public struct Entry: Hashable, Sendable {
    /// The operation, such as `batch norm`.
    public let operation: String
    /// The path of its layer.
    public let layer: String
    /// The operation that took it in, such as `convolution stem.conv`; nil where it was kept.
    public let target: String?
    /// What became of it.
    public let outcome: Outcome
  }

  /// The operations that folding looked at, in the graph's order within each pass.
  public internal(set) var entries: [Entry] = []

  /// The number of operations that were folded.
  public var foldedCount: Int { entries.count { $0.outcome == .folded } }
  /// The number of operations that were fused.
  public var fusedCount: Int { entries.count { $0.outcome == .fused } }
  /// The number of operations that were kept.
  public var keptCount: Int { entries.count - foldedCount - fusedCount }
}

extension FoldReport: CustomStringConvertible {
  /// A line for each operation, then the totals.
  public var description: String {
    let lines = entries.map { entry in
      switch entry.outcome {
      case .folded: "folded  \(entry.operation) \(entry.layer) into \(entry.target ?? "")"
      case .fused: "fused   \(entry.operation) (\(entry.layer)) into \(entry.target ?? "")"
      case .kept(let reason): "kept    \(entry.operation) \(entry.layer): \(reason)"
      }
    }
    return (lines + ["\(foldedCount) folded, \(fusedCount) fused, \(keptCount) kept"])
      .joined(separator: "\n")
  }
}
