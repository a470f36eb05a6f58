import KeelTensor
import KeelTraining
import Testing

@Suite struct ShuffledBatchesTests {
  @Test(arguments: [(10, 3, false), (10, 3, true), (12, 4, false), (12, 4, true), (3, 8, false)])
  func everySampleOnce(_ count: Int, _ size: Int, _ dropsLast: Bool) throws {
    let generator = try ShuffledBatches(
      count: count, batchSize: size, dropsLast: dropsLast, seed: 5)
    let batches = generator.batches(epoch: 0)
    #expect(batches.count == generator.batchCount)
    #expect(batches.dropLast().allSatisfy { $0.count == size })
    let samples = batches.flatMap { $0 }
    #expect(Set(samples).count == samples.count)
    #expect(samples.count == (dropsLast ? count / size * size : count))
    #expect(samples.allSatisfy { (0..<count).contains($0) })
  }

  @Test func seedAndEpochDecide() throws {
    let a = try ShuffledBatches(count: 50, batchSize: 50, seed: 7)
    let b = try ShuffledBatches(count: 50, batchSize: 50, seed: 8)
    #expect(a.batches(epoch: 3) == a.batches(epoch: 3))
    #expect(a.batches(epoch: 3) != a.batches(epoch: 4))
    #expect(a.batches(epoch: 3) != b.batches(epoch: 3))
    #expect(a.batches(epoch: 1) != b.batches(epoch: 0))
    #expect(a.batches(epoch: 0) != [Array(0..<50)])
  }

  /// Each of the 24 orders of four samples is as likely as the others: χ² of 23 degrees of freedom stays
  /// under 49.7 in 999 of 1000 runs.
  @Test func ordersAreEquallyLikely() throws {
    let generator = try ShuffledBatches(count: 4, batchSize: 4, seed: 11)
    var counts: [[Int]: Int] = [:]
    for epoch in 0..<2400 { counts[generator.batches(epoch: epoch)[0], default: 0] += 1 }
    #expect(counts.count == 24)
    let chi = counts.values.reduce(0.0) { $0 + Double(($1 - 100) * ($1 - 100)) / 100 }
    #expect(chi <= 49.7)
  }

  @Test func badArguments() {
    func expect(_ message: String, _ make: () throws -> ShuffledBatches) {
      let error = #expect(throws: KeelError.self) { try make() }
      #expect(error?.description == "argument error at ShuffledBatches: expected " + message)
    }
    expect("samples of at least 1, found 0") {
      try ShuffledBatches(count: 0, batchSize: 1, seed: 1)
    }
    expect("batch size of at least 1, found -2") {
      try ShuffledBatches(count: 4, batchSize: -2, seed: 1)
    }
    expect("a batch size of at most 4, the number of samples, found 5") {
      try ShuffledBatches(count: 4, batchSize: 5, dropsLast: true, seed: 1)
    }
  }
}
