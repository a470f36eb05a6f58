/// What folding did to a graph, and what it left and why.
public struct FoldReport: Hashable, Sendable {
  /// What became of an operation.
  public enum Outcome: Hashable, Sendable {
    /// Its numbers went into another operation's weights.
    case folded
    /// It is done to each tile of another operation's result.
    case fused
    /// It gave back what it took.
    case removed
    /// It stays an operation of its own.
    case kept(reason: String)
  }

  /// One operation.
  public struct Entry: Hashable, Sendable {
    /// The operation, such as `batch norm`.
    public let operation: String
    /// The path of its layer, with a number where several operations of that kind have the same one.
    public let layer: String
    /// The operation or operations that took it in, such as `convolution stem.conv`; nil where none did.
    public let target: String?
    /// What became of it.
    public let outcome: Outcome
    /// How, where that is not plain.
    public let detail: String?

    internal init(
      operation: String, layer: String, target: String?, outcome: Outcome, detail: String? = nil
    ) {
      self.operation = operation
      self.layer = layer
      self.target = target
      self.outcome = outcome
      self.detail = detail
    }

    /// The operation and its layer; a layer that is named after the operation, such as `ReLU after bn1`,
    /// says both.
    public var name: String {
      layer.hasPrefix(operation) ? layer : "\(operation) \(layer)"
    }
  }

  /// The operations that folding looked at, in the graph's order within each pass: folding, then fusing.
  public internal(set) var entries: [Entry] = []

  /// The number of operations that were folded.
  public var foldedCount: Int { entries.count { $0.outcome == .folded } }
  /// The number of operations that were fused.
  public var fusedCount: Int { entries.count { $0.outcome == .fused } }
  /// The number of operations that were removed.
  public var removedCount: Int { entries.count { $0.outcome == .removed } }
  /// The number of operations that were kept.
  public var keptCount: Int { entries.count - foldedCount - fusedCount - removedCount }

  /// The four numbers in words; nothing is said of removed operations where there are none.
  public var totals: String {
    "\(foldedCount) folded, \(fusedCount) fused, "
      + (removedCount > 0 ? "\(removedCount) removed, " : "") + "\(keptCount) kept"
  }
}

extension FoldReport.Entry: CustomStringConvertible {
  /// What became of the operation, on one line.
  public var description: String {
    let detail = detail.map { ", \($0)" } ?? ""
    return switch outcome {
    case .folded: "folded  \(name) into \(target ?? "")\(detail)"
    case .fused: "fused   \(name) into \(target ?? "")\(detail)"
    case .removed: "removed \(name)\(detail)"
    case .kept(let reason): "kept    \(name): \(reason)"
    }
  }
}

extension FoldReport: CustomStringConvertible {
  /// A line for each operation, then the totals.
  public var description: String {
    (entries.map(\.description) + [totals]).joined(separator: "\n")
  }
}
