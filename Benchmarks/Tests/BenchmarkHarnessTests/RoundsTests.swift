import BenchmarkHarness
import Testing

@Suite struct RoundsTests {
  /// A clock that only moves when contenders say so.
  private final class Clock {
    var seconds = 0.0
    var log: [String] = []

    func contender(
      _ name: String, takes seconds: @escaping (Int) -> Double, settles: Bool = false
    ) -> Contender {
      var call = 0
      return Contender(
        name, settles: settles,
        consume: {
          self.log.append("consume \(name)")
          return 1
        },
        body: {
          self.log.append(name)
          self.seconds += seconds(call)
          call += 1
        })
    }

    func compare(_ contenders: [Contender], _ sampling: Sampling) throws -> Comparison {
      try BenchmarkHarness.compare(
        contenders, sampling: sampling, now: { self.seconds },
        settle: { self.log.append("settle") })
    }
  }

  @Test func roundsInterleaveAndResultsAreConsumedLast() throws {
    let clock = Clock()
    let comparison = try clock.compare(
      ["A", "B", "C"].map { clock.contender($0, takes: { _ in 1 }, settles: $0 == "C") },
      Sampling(rounds: 2, warmUps: 1, minimumSample: 1))
    // Each contender runs twice before the rounds: once unseen, once to choose repetitions.
    #expect(clock.log.prefix(8) == ["A", "A", "B", "B", "C", "settle", "C", "settle"])
    // A sample is one run that is not timed and one that is.
    let round = ["A", "A", "B", "B", "C", "C", "settle"]
    #expect(
      Array(clock.log.dropFirst(8))
        == round + round + round + ["consume A", "consume B", "consume C"])
    #expect(comparison.timings.map(\.samples) == [[1, 1], [1, 1], [1, 1]])
    #expect(comparison.timings.map(\.checksum) == [1, 1, 1])
  }

  @Test func warmUpsAreNotCounted() throws {
    let clock = Clock()
    // Calls 0 and 1 choose repetitions, 2 to 5 warm up, 6, 8 and 10 start samples.
    let comparison = try clock.compare(
      [clock.contender("A", takes: { $0 < 6 || $0 % 2 == 0 ? 50 : 2 })],
      Sampling(rounds: 3, warmUps: 2, minimumSample: 1))
    #expect(comparison["A"]?.samples == [2, 2, 2])
  }

  @Test(arguments: [1e-6, 3e-5, 1e-3, 0.02, 0.5])
  func samplesLastTheMinimum(seconds: Double) throws {
    let clock = Clock()
    let minimum = 0.01
    let comparison = try clock.compare(
      [clock.contender("A", takes: { _ in seconds })],
      Sampling(rounds: 1, warmUps: 0, minimumSample: minimum))
    let timings = try #require(comparison["A"])
    #expect(Double(timings.repetitions) * seconds >= minimum)
    #expect(Double(timings.repetitions) * seconds <= max(seconds, 2 * minimum))
    #expect(abs(timings.minimum - seconds) <= 1e-9)
  }

  @Test func driftCancelsInThePairedMedian() throws {
    let clock = Clock()
    // The machine is three times slower in some rounds; B always takes twice as long as A.
    let speed: (Int) -> Double = { [1, 1, 1, 1, 3, 3, 1, 1, 3, 3, 3, 3][$0] }
    let comparison = try clock.compare(
      [
        clock.contender("A", takes: { speed($0) }), clock.contender("B", takes: { 2 * speed($0) }),
      ],
      Sampling(rounds: 5, warmUps: 0, minimumSample: 1e-3))
    let ratio = try #require(comparison.ratio(of: "B", over: "A"))
    #expect(ratio.pairedMedian == 2)
    #expect(ratio.ofMinima == 2)
    #expect(comparison.ratio(of: "B", over: "none") == nil)
  }

  @Test func anErrorEndsTheComparison() {
    struct Stop: Error {}
    #expect(throws: Stop.self) {
      try compare([Contender("A") { throw Stop() }], sampling: Sampling(rounds: 1))
    }
  }

  @Test func statistics() {
    #expect(median([3, 1, 2]) == 2)
    #expect(median([4, 1, 2, 3]) == 2.5)
    #expect(median([]).isNaN)
    #expect(geometricMean([]) == nil)
    #expect(abs((geometricMean([2, 8]) ?? 0) - 4) <= 1e-12)
    let timings = Timings(name: "A", repetitions: 1, samples: [3, 1, 8])
    #expect(timings.minimum == 1)
    #expect(timings.median == 3)
  }
}
