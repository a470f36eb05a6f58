/// How a comparison is sampled.
public struct Sampling: Sendable {
  /// Timed rounds; each gives one sample of every contender.
  public var rounds: Int
  /// Rounds before them that are not counted.
  public var warmUps: Int
  /// Seconds that a sample lasts at least, by repeating the work.
  public var minimumSample: Double

  /// Makes a sampling.
  /// - Precondition: at least one round.
  public init(rounds: Int = 30, warmUps: Int = 2, minimumSample: Double = 0.002) {
    precondition(rounds >= 1, "a comparison takes at least 1 round, not \(rounds)")
    self.rounds = rounds
    self.warmUps = warmUps
    self.minimumSample = minimumSample
  }
}

/// How one contender's times compare with another's.
public struct Ratio: Encodable, Equatable, Sendable {
  /// The ratio of the minimum times.
  public let ofMinima: Double
  /// The median over rounds of the ratio within a round: drift of the machine's speed from round to
  /// round cancels.
  public let pairedMedian: Double
}

/// The times of contenders that ran in interleaved rounds.
public struct Comparison: Sendable {
  /// The times, in the contenders' order.
  public let timings: [Timings]

  /// Makes a comparison from its times.
  public init(_ timings: [Timings]) { self.timings = timings }

  /// The times of a contender, or nil where none has the name.
  public subscript(name: String) -> Timings? { timings.first { $0.name == name } }

  /// The time of one contender over the time of another, or nil where one of them is missing.
  public func ratio(of name: String, over base: String) -> Ratio? {
    guard let a = self[name], let b = self[base] else { return nil }
    return Ratio(
      ofMinima: a.minimum / b.minimum,
      pairedMedian: median(zip(a.samples, b.samples).map { $0 / $1 }))
  }
}

/// Times contenders in rounds A B C A B C …, so that a machine that is slow for a second is slow for
/// all of them.
///
/// Each contender's repetitions are chosen first, growing until a sample lasts the minimum. Each sample
/// starts with one run that is not timed, because what the contender before left in the caches helps
/// one that shares its data and hurts one that does not. The results are consumed after the last round.
/// - Parameters:
///   - now: seconds on a steady clock.
///   - settle: waits until the process is idle; called after samples of contenders that ask for it.
public func compare(
  _ contenders: [Contender], sampling: Sampling = Sampling(), now: () -> Double = steadySeconds,
  settle: () -> Void = settleProcess
) throws -> Comparison {
  func sample(_ contender: Contender, _ repetitions: Int) throws -> Double {
    let start = now()
    try contender.run(repetitions)
    let seconds = now() - start
    if contender.settles { settle() }
    return seconds
  }

  let repetitions = try contenders.map { contender in
    // The first run allocates and faults pages in: it would make the work look longer than it is.
    _ = try sample(contender, 1)
    var count = 1
    while true {
      let seconds = try sample(contender, count)
      if seconds >= sampling.minimumSample || count >= 1 << 30 { return count }
      // Aim a little over the minimum, but never grow by more than 16 from one short sample.
      let factor = 1.2 * sampling.minimumSample / max(seconds, 1e-9)
      count = Int((Double(count) * min(max(factor, 1.2), 16)).rounded(.up))
    }
  }

  var samples = [[Double]](repeating: [], count: contenders.count)
  for round in 0..<(sampling.warmUps + sampling.rounds) {
    for (index, contender) in contenders.enumerated() {
      try contender.run(1)
      let seconds = try sample(contender, repetitions[index]) / Double(repetitions[index])
      if round >= sampling.warmUps { samples[index].append(seconds) }
    }
  }
  return try Comparison(
    contenders.indices.map {
      Timings(
        name: contenders[$0].name, repetitions: repetitions[$0], samples: samples[$0],
        checksum: try contenders[$0].consume())
    })
}
