/// Which elements of rows × channels share statistics: a cell is a set of rows by a set of channels.
///
/// Rows are the positions of x, N×S₁×…×Sₖ of them, in row-major order; channels are the last axis.
public struct Partition: Hashable, Sendable {
  /// Which rows share statistics.
  public enum Rows: Hashable, Sendable {
    /// All.
    case all
    /// Those of one sample, the first axis.
    case sample
    /// No two: each position by itself.
    case position
    /// Those that agree in these axes, in rising order and without that of the channels.
    case axes([Int])
    /// Those of one of K runs of samples, as equal as they can be: run k begins at sample ⌊k·N/K⌋.
    case shards(Int)
    /// Those of one label 0…K − 1; the labels are an operand, int64, one per sample (N) or one per position
    /// (N×S₁×…×Sₖ).
    case labels(Int)
  }

  /// Which channels share statistics.
  public enum Channels: Hashable, Sendable {
    /// No two.
    case each
    /// All.
    case all
    /// Those of one of G equal groups of neighbours.
    case groups(Int)
  }

  /// Which rows share statistics.
  public let rows: Rows
  /// Which channels share statistics.
  public let channels: Channels

  /// Makes a partition; `Normalization` refuses one that no normalization can use.
  public init(rows: Rows, channels: Channels) {
    self.rows = rows
    self.channels = channels
  }

  /// Each channel over the whole batch.
  public static let batch = Partition(rows: .all, channels: .each)
  /// Each channel of each sample.
  public static let instance = Partition(rows: .sample, channels: .each)
  /// Each sample: all its positions and channels.
  public static let layer = Partition(rows: .sample, channels: .all)
  /// Each position: its channels.
  public static let position = Partition(rows: .position, channels: .all)
  /// Everything.
  public static let whole = Partition(rows: .all, channels: .all)
  /// Each group of channels of each sample.
  public static func group(_ groups: Int) -> Partition {
    Partition(rows: .sample, channels: .groups(groups))
  }

  /// Whether each cell lies within one sample, so that samples do not see each other.
  public var isWithinSamples: Bool {
    switch rows {
    case .sample, .position: true
    case .axes(let axes): axes.first == 0
    case .all, .shards, .labels: false
    }
  }

  /// Whether labels are an operand.
  public var hasLabels: Bool {
    if case .labels = rows { true } else { false }
  }

  /// A cell in words, for messages.
  public var cellName: String {
    let rows: String? =
      switch rows {
      case .all: nil
      case .sample: "sample"
      case .position: "position"
      case .axes(let axes): "index of axes \(axes.map(String.init).joined(separator: ", "))"
      case .shards: "shard"
      case .labels: "label"
      }
    let channels: String? =
      switch channels {
      case .each: "channel"
      case .all: nil
      case .groups: "group of channels"
      }
    let parts = [channels, rows].compactMap { $0 }
    return parts.isEmpty ? "tensor" : parts.joined(separator: " of a ")
  }

  /// Checks what does not depend on a shape.
  /// - Throws: `KeelError` of kind `argument` that says why.
  public func validate(at place: String) throws(KeelError) {
    func check(_ condition: Bool, _ expected: String, _ found: String) throws(KeelError) {
      guard condition else {
        throw KeelError(.argument, at: place, expected: expected, found: found)
      }
    }
    switch channels {
    case .groups(let groups):
      try check(groups >= 1, "at least 1 group of channels", "\(groups)")
    case .each:
      try check(
        rows != .position, "cells of more than one element",
        "a partition into positions and channels")
    case .all: break
    }
    switch rows {
    case .shards(let count): try check(count >= 1, "at least 1 shard", "\(count)")
    case .labels(let count): try check(count >= 1, "at least 1 label", "\(count)")
    case .axes(let axes):
      try check(
        !axes.isEmpty && axes.allSatisfy { $0 >= 0 } && zip(axes, axes.dropFirst()).allSatisfy(<),
        "axes from 0, in rising order, at least one (or rows `all`)", "\(axes)")
    case .all, .sample, .position: break
    }
  }

  /// The extents of the cells of x: those of rows, if rows are told apart, and then that of channels.
  ///
  /// Batch norm's are C, instance norm's N×C, group norm's N×G, layer norm's N×1.
  /// - Parameters:
  ///   - extents: those of x, at least two; all but the last may be open.
  ///   - fixed: makes an extent of a number.
  public func cellExtents<Extent>(
    of extents: [Extent], channels count: Int, fixed: (Int) -> Extent
  ) -> [Extent] {
    let of: [Extent] =
      switch rows {
      case .all: []
      case .sample: [extents[0]]
      case .position: Array(extents.dropLast())
      case .axes(let axes): axes.map { extents[$0] }
      case .shards(let shards): [fixed(shards)]
      case .labels(let labels): [fixed(labels)]
      }
    return of + [fixed(channelCells(of: count))]
  }

  /// The number of cells that the channels fall into.
  public func channelCells(of count: Int) -> Int {
    switch channels {
    case .each: count
    case .all: 1
    case .groups(let groups): groups
    }
  }
}
