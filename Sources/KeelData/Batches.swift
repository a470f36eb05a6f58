public import KeelTensor

/// Batches of labelled images, each made when it is asked for.
public struct Batches: Sequence, Sendable {
  private let data: LabelledImages
  private let order: [Int]
  private let size: Int

  fileprivate init(_ data: LabelledImages, order: [Int], size: Int) {
    self.data = data
    self.order = order
    self.size = size
  }

  /// The number of batches.
  public var count: Int { (order.count + size - 1) / size }

  /// The number of batches.
  public var underestimatedCount: Int { count }

  /// Gives the batches from the first.
  public func makeIterator() -> Iterator { Iterator(batches: self) }

  /// Gives one batch after the other.
  public struct Iterator: IteratorProtocol {
    fileprivate let batches: Batches
    private var start = 0

    fileprivate init(batches: Batches) { self.batches = batches }

    /// The next batch, or nil after the last.
    public mutating func next() -> LabelledImages? {
      let order = batches.order
      guard start < order.count else { return nil }
      let end = Swift.min(start + batches.size, order.count)
      defer { start = end }
      return batches.data.subset(order[start..<end])
    }
  }
}

extension LabelledImages {
  /// Batches in the order of the images.
  /// - Parameters:
  ///   - size: Images per batch, at least 1.
  ///   - dropsRemainder: Whether a last batch of fewer images is left out. (Batch norm in training
  ///     wants more than a handful of rows.)
  public func batches(of size: Int, dropsRemainder: Bool = false) -> Batches {
    batches(of: size, order: Array(0..<count), dropsRemainder: dropsRemainder)
  }

  /// Batches in an order drawn from a generator.
  /// - Parameters:
  ///   - size: Images per batch, at least 1.
  ///   - dropsRemainder: Whether a last batch of fewer images is left out.
  ///   - source: The generator; the next call draws another order.
  public func batches(
    of size: Int, dropsRemainder: Bool = false, shuffledBy source: inout RandomSource
  ) -> Batches {
    batches(
      of: size, order: shuffled(Array(0..<count), using: &source), dropsRemainder: dropsRemainder)
  }

  private func batches(of size: Int, order: [Int], dropsRemainder: Bool) -> Batches {
    precondition(size >= 1, "batch size: expected at least 1, found \(size)")
    let used = dropsRemainder ? count / size * size : count
    return Batches(self, order: Array(order.prefix(used)), size: size)
  }
}
