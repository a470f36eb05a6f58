import Keel

/// Two ways to do the same, timed in turn, A B A B …, so that a machine whose speed drifts treats both
/// alike.
struct PairedTiming: Sendable {
  /// The times of one way, in milliseconds for one run.
  struct Times: Encodable, Sendable {
    let medianMs: Double
    let minMs: Double

    init(_ seconds: [Double]) {
      medianMs = median(seconds) * 1000
      minMs = (seconds.min() ?? .nan) * 1000
    }
  }

  let first: Times
  let second: Times
  /// The median over the pairs of first ÷ second.
  let speedup: Double

  /// Times two closures.
  /// - Parameters:
  ///   - rounds: the number of pairs.
  ///   - sample: the seconds that a sample should last: short runs are repeated.
  ///   - progress: is told, between samples, how many pairs are done.
  init(
    rounds: Int, sample: Double = 0.002, progress: (Int) -> Void = { _ in },
    first: () throws -> Void, second: () throws -> Void
  ) throws {
    let repetitions = max(1, Int(sample / max(try Self.time(1, first), 1e-9)))
    _ = try Self.time(repetitions, second)
    var pairs: [(first: Double, second: Double)] = []
    for round in 0..<rounds {
      progress(round)
      let time = try Self.time(repetitions, first)
      pairs.append((time, try Self.time(repetitions, second)))
    }
    self.first = Times(pairs.map { $0.first / Double(repetitions) })
    self.second = Times(pairs.map { $0.second / Double(repetitions) })
    speedup = median(pairs.map { $0.first / $0.second })
  }

  private static func time(_ repetitions: Int, _ body: () throws -> Void) throws -> Double {
    let clock = ContinuousClock()
    let start = clock.now
    for _ in 0..<repetitions { try body() }
    return (clock.now - start).seconds
  }
}

extension Duration {
  /// The duration in seconds.
  var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}

/// The middle value, or the mean of the two middle ones.
func median(_ values: [Double]) -> Double {
  guard !values.isEmpty else { return .nan }
  let sorted = values.sorted()
  return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}
