import KeelExecution
import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Norms of parts of a batch: ghost, domain, width, step and region.
@Suite struct SubBatchNormTests {
  private func run(_ test: NormCase, _ mode: Trace.Mode = .training) throws -> ReferenceResults {
    try test.graph(mode).reference(test.inputs)
  }

  // MARK: Ghost

  @Test func oneShardIsBatchNorm() throws {
    try expectSame(
      NormCase("ghost", GhostBatchNorm(4, shards: 1), [5, 3, 4]),
      NormCase("batch", BatchNorm(4), [5, 3, 4]))
  }

  @Test func shardsAreBatches() throws {
    // Shards of 5 samples in two begin at 0 and 2.
    let ghost = NormCase("ghost", GhostBatchNorm(3, shards: 2), [5, 2, 3])
    let y = try run(ghost).outputs["y"]!
    let x = try ghost.inputs["x"]!.floats(at: "x")
    for range in [0..<12, 12..<30] {
      let part = try Tensor(Array(x.elements[range]), shape: [range.count / 6, 2, 3])
      let batch = NormCase("batch", BatchNorm(3), [.float32(part)]) { $0($1[0]) }
      expectClose(
        Array(y.elements[range]), try run(batch).outputs["y"]!.elements, within: 1e-12)
    }
    // The running statistics are those of the whole batch.
    let whole = NormCase("batch", BatchNorm(3), [.float32(x)]) { $0($1[0]) }
    let (found, expected) = (try run(ghost).updates, try run(whole).updates)
    for name in ["runningMean", "runningVariance"] {
      expectClose(found["norm.\(name)"]!, expected[name]!, bound: 1e-12, name)
    }
  }

  // MARK: Domain

  @Test func oneDomainIsBatchNorm() throws {
    let labels = TensorValue.labels([0, 0, 0])
    for shared in [false, true] {
      try expectSame(
        NormCase(
          "domain", DomainBatchNorm(4, domains: 1, sharesAffine: shared),
          [.normal(NormCase.image), labels]
        ) { $0($1[0], domains: $1[1]) },
        NormCase("batch", BatchNorm(4), NormCase.image))
    }
  }

  @Test func domainsDoNotSeeEachOther() throws {
    let norm = DomainBatchNorm(2, domains: 3)
    let x = try TensorValue.normal([6, 2]).floats(at: "x")
    let labels = TensorValue.labels([2, 0, 0, 2, 2, 0])
    let first = NormCase("domains", norm, [.float32(x), labels]) { $0($1[0], domains: $1[1]) }
    var other = x
    for n in [0, 3, 4] { (other[n, 0], other[n, 1]) = (9 - x[n, 1], x[n, 0] * 3) }
    let second = NormCase("domains", norm, [.float32(other), labels]) {
      $0($1[0], domains: $1[1])
    }
    let results = try [first, second].map { try run($0) }
    for n in [1, 2, 5] {
      for c in 0..<2 {
        #expect(results[0].outputs["y"]![n, c] == results[1].outputs["y"]![n, c])
      }
    }
    // Domain 1 has no samples: its running statistics stay, the others move.
    for (name, parameter) in [
      ("runningMean", norm.runningMean), ("runningVariance", norm.runningVariance),
    ] {
      let update = results[0].updates[name]!
      for c in 0..<2 {
        #expect(update[1, c] == Double(parameter.value[1, c]))
        #expect(update[0, c] != Double(parameter.value[0, c]))
        #expect(update[2, c] != Double(parameter.value[2, c]))
      }
    }
    // Each domain is a batch norm of its samples with its row of every table.
    let batch = BatchNorm(2)
    for (own, parameter) in [
      (norm.scale, batch.scale!), (norm.shift, batch.shift!),
      (norm.runningMean, batch.runningMean!), (norm.runningVariance, batch.runningVariance!),
    ] { parameter.value = try Tensor([own.value[2, 0], own.value[2, 1]], shape: [2]) }
    let rows = try Tensor([0, 3, 4].flatMap { [x[$0, 0], x[$0, 1]] }, shape: [3, 2])
    for mode in [Trace.Mode.training, .inference] {
      let y = try run(first, mode).outputs["y"]!
      let expected = try run(NormCase.plain(batch, [.float32(rows)]), mode)
      expectClose(
        [0, 3, 4].flatMap { [y[$0, 0], y[$0, 1]] }, expected.outputs["y"]!.elements, within: 1e-12)
      for (name, value) in expected.updates {
        let update = try run(first).updates[name]!
        expectClose([update[2, 0], update[2, 1]], value.elements, within: 1e-12)
      }
    }
  }

  // MARK: Width, step

  @Test func widthsAreNormsOfTheirOwn() throws {
    let norm = SwitchableBatchNorm([2, 4])
    #expect(norm.norms.map(\.channels) == [2, 4])
    let case4 = NormCase("wide", norm, [.normal([5, 4])]) { $0($1[0], width: 1) }
    #expect(
      try case4.graph(.training).updates.map(\.weight)
        == ["norms.1.runningMean", "norms.1.runningVariance"])
    let alone = NormCase.plain(norm.norms[1], [.normal([5, 4])])
    #expect(try run(case4).outputs["y"] == run(alone).outputs["y"])
  }

  @Test func eachStepHasStatisticsOfItsOwn() throws {
    let norm = RecurrentBatchNorm(2, steps: 2, momentum: 0.5, initialScale: 1)
    let test = NormCase(
      "recurrent", norm, (0..<3).map { .normal([4, 2], seed: UInt64($0)) }, randomizes: false
    ) { norm, x in .concatenation(x.enumerated().map { norm($0.element, step: $0.offset) }, axis: 0)
    }
    #expect(RecurrentBatchNorm(2, steps: 1).scale.value.elements == [0.1, 0.1])
    let results = try run(test)
    let statistics = try (0..<3).map {
      DoubleTensor(widening: try test.values[$0].floats(at: "x")).channelStatistics
    }
    for c in 0..<2 {
      let means = (0..<2).map { results.updates["runningMeans.\($0)"]![c] }
      #expect(abs(means[0] - statistics[0].means[c] / 2) <= 1e-12)
      // Step 2 is beyond the last one, and moves it on.
      let second = (statistics[1].means[c] / 2 + statistics[2].means[c]) / 2
      #expect(abs(means[1] - second) <= 1e-12)
    }
    norm.runningMeans[1].value = try Tensor([1, 2], shape: [2])
    let inference = try run(test, .inference).outputs["y"]!
    for step in 0..<3 {
      for n in 0..<4 {
        let x = Double(try test.values[step].floats(at: "x")[n, 1])
        let mean = step == 0 ? 0.0 : 2
        #expect(abs(inference[4 * step + n, 1] - (x - mean) / 1.00001.squareRoot()) <= 1e-6)
      }
    }
  }

  // MARK: Region

  @Test func oneRegionIsBatchNorm() throws {
    for regions in [1, 2] {
      let ones = TensorValue.labels(
        Array(repeating: Int64(regions - 1), count: 18), [3, 2, 3])
      let region = NormCase(
        "region", RegionNorm(4, regions: regions, affine: false), [.normal(NormCase.image), ones]
      ) { $0($1[0], regions: $1[1]) }
      try expectSame(
        region,
        NormCase(
          "batch", BatchNorm(4, affine: false, tracksRunningStatistics: false), NormCase.image))
    }
  }

  /// The published form: outside of a region filled with its mean, batch norm, times √(|region|/all).
  @Test func epsilonGrowsAsRegionsShrink() throws {
    let x = try Tensor([1, 5, 3, -2, 8, 4], shape: [1, 6, 1])
    let mask: [Int64] = [1, 0, 1, 0, 0, 0]
    let test = NormCase(
      "region", RegionNorm(1, epsilon: 0.5, affine: false), [.float32(x), .labels(mask, [1, 6])]
    ) { $0($1[0], regions: $1[1]) }
    let y = try run(test).outputs["y"]!
    for (region, mean) in [(1 as Int64, 2.0), (0, 15 / 4.0)] {
      let inside = (0..<6).filter { mask[$0] == region }
      let sum = inside.reduce(0.0) {
        $0 + (Double(x[flat: $1]) - mean) * (Double(x[flat: $1]) - mean)
      }
      let root = (sum / 6 + 0.5).squareRoot()
      for i in inside {
        let published =
          (Double(x[flat: i]) - mean) / root * (Double(inside.count) / 6).squareRoot()
        #expect(abs(y[flat: i] - published) <= 1e-12)
      }
    }
  }

  @Test func regionsOfOnePositionGiveTheShift() throws {
    let norm = RegionNorm(1, regions: 3)
    norm.shift!.value = try Tensor([3, 4, 5], shape: [3, 1])
    let test = NormCase(
      "region", norm, [.normal([1, 3, 1]), .labels([1, 1, 2], [1, 3])], randomizes: false
    ) { $0($1[0], regions: $1[1]) }
    let y = try test.graph(.training).y(test.inputs)
    #expect(y[0, 2, 0] == 5 && y.elements.allSatisfy(\.isFinite))
  }
}
