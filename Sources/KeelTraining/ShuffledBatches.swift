import KeelTensor

/// The samples of each batch, in a new order each epoch.
///
/// The order follows from seed and epoch alone, so that a training that goes on from a checkpoint sees
/// the batches it would have seen.
public struct ShuffledBatches: Hashable, Sendable {
  /// The number of samples.
  public let count: Int
  /// The number of samples in a batch.
  public let batchSize: Int
  /// Whether a last batch that is not full is left out. Batch norms in training want that where it
  /// could be a single sample.
  public let dropsLast: Bool
  /// What the order comes from.
  public let seed: UInt64

  /// Makes a generator of batches.
  /// - Throws: `KeelError` of kind `argument` for a count or batch size below 1, and where no batch
  ///   would be full and such batches are left out.
  public init(count: Int, batchSize: Int, dropsLast: Bool = false, seed: UInt64) throws(KeelError) {
    for (what, value) in [("samples", count), ("batch size", batchSize)] where value < 1 {
      throw KeelError(
        .argument, at: "ShuffledBatches", expected: "\(what) of at least 1", found: "\(value)")
    }
    guard !dropsLast || batchSize <= count else {
      throw KeelError(
        .argument, at: "ShuffledBatches",
        expected: "a batch size of at most \(count), the number of samples", found: "\(batchSize)")
    }
    self.count = count
    self.batchSize = batchSize
    self.dropsLast = dropsLast
    self.seed = seed
  }

  /// The number of batches of an epoch.
  public var batchCount: Int {
    count / batchSize + (dropsLast || count.isMultiple(of: batchSize) ? 0 : 1)
  }

  /// The samples of each batch of an epoch, by position.
  public func batches(epoch: Int) -> [[Int]] {
    // Neighbouring seeds must not give states that are shifts of each other.
    var root = RandomSource(seed: seed)
    var source = RandomSource(seed: root.next() ^ UInt64(bitPattern: Int64(epoch)))
    let order = source.shuffled(Array(0..<count))
    return (0..<batchCount).map { batch in
      Array(order[batch * batchSize..<min((batch + 1) * batchSize, count)])
    }
  }
}
