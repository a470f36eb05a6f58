/// One of the things that a comparison times.
public struct Contender {
  /// The name, by which results are found.
  public let name: String
  /// Whether to wait after each sample until the process is idle, for work that leaves threads
  /// spinning behind it.
  public let settles: Bool
  internal let run: (Int) throws -> Void
  internal let consume: () throws -> Double

  /// Makes a contender from a closure that does the work once.
  /// - Parameter consume: called after timing; reads the results, so that no compiler and no lazy
  ///   library can have left the work out, and boils them down to one number.
  public init(
    _ name: String, settles: Bool = false, consume: @escaping () throws -> Double = { 0 },
    body: @escaping () throws -> Void
  ) {
    self.init(name, settles: settles, consume: consume) { repetitions in
      for _ in 0..<repetitions { try body() }
    }
  }

  /// Makes a contender from a closure that does the work as often as it is told, for work that needs
  /// a setting around it.
  public init(
    _ name: String, settles: Bool = false, consume: @escaping () throws -> Double = { 0 },
    repeating run: @escaping (Int) throws -> Void
  ) {
    self.name = name
    self.settles = settles
    self.run = run
    self.consume = consume
  }
}

/// The times of one contender.
public struct Timings: Sendable {
  /// The contender's name.
  public let name: String
  /// How often one sample does the work.
  public let repetitions: Int
  /// Seconds of the work done once, one per round.
  public let samples: [Double]
  /// What was read from the results after timing.
  public let checksum: Double

  /// Makes timings from their parts.
  public init(name: String, repetitions: Int, samples: [Double], checksum: Double = 0) {
    self.name = name
    self.repetitions = repetitions
    self.samples = samples
    self.checksum = checksum
  }

  /// The shortest time: what the machine can do when nothing disturbs it.
  public var minimum: Double { samples.min() ?? .nan }
  /// The middle time: what a program sees.
  public var median: Double { BenchmarkHarness.median(samples) }
}
