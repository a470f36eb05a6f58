import Synchronization

/// What the machine did at most in this run: the yardstick beside every GFLOP/s and GB/s.
///
/// A virtual machine's speed drifts by tens of percent, so peaks of another run say little.
public struct Peaks: Encodable, Sendable {
  /// The instruction set of the loops.
  public let level: String
  /// Bytes of each memory buffer.
  public let bufferBytes: Int
  /// The best of one thread.
  public private(set) var oneThread: Rates
  /// The best of all threads of the run together.
  public private(set) var allThreads: Rates

  /// The rates of a number of threads together.
  public struct Rates: Encodable, Sendable {
    /// The number of threads.
    public let threads: Int
    /// Multiply-adds in registers, two operations each.
    public fileprivate(set) var fmaGflops = 0.0
    /// GB/s, read plus written, of one read per element.
    public fileprivate(set) var readGbs = 0.0
    /// GB/s of one read and one plain store.
    public fileprivate(set) var copyGbs = 0.0
    /// GB/s of two reads and one plain store.
    public fileprivate(set) var addGbs = 0.0
    /// GB/s of plain stores.
    public fileprivate(set) var fillGbs = 0.0

    fileprivate static func path(_ mix: AccessMix) -> WritableKeyPath<Rates, Double> {
      switch mix {
      case .read: \.readGbs
      case .copy: \.copyGbs
      case .add: \.addGbs
      case .fill: \.fillGbs
      }
    }
  }

  /// Measures the peaks.
  /// - Parameters:
  ///   - threads: the thread count of the run, measured beside one thread.
  ///   - bufferBytes: bytes of each of three buffers; at least twice the last-level cache, so that
  ///     memory is measured.
  ///   - rounds: rounds over all loops; the best counts.
  public static func measure(
    threads: Int, bufferBytes: Int = 256 << 20, rounds: Int = 5,
    loops: MeasuringLoops = .widest
  ) -> Peaks {
    var peaks = Peaks(
      level: loops.level, bufferBytes: bufferBytes, oneThread: Rates(threads: 1),
      allThreads: Rates(threads: threads))
    let buffers = MemoryBuffers(bytes: bufferBytes)
    // Each thread touches its own part first, so that the pages are near it.
    touch(buffers, threads: threads, loops: loops)
    for _ in 0..<rounds {
      improve(&peaks.oneThread, buffers, loops)
      if threads > 1 { improve(&peaks.allThreads, buffers, loops) }
    }
    if threads <= 1 { peaks.allThreads = peaks.oneThread }
    return peaks
  }

  /// Measures the multiply-adds again and keeps the better: called at the end of a run, it covers a
  /// machine that got faster meanwhile.
  public mutating func measureMultiplyAddsAgain(loops: MeasuringLoops = .widest) {
    for _ in 0..<3 {
      Self.improveMultiplyAdds(&oneThread, loops)
      if allThreads.threads > 1 { Self.improveMultiplyAdds(&allThreads, loops) }
    }
    if allThreads.threads <= 1 { allThreads = oneThread }
  }

  private static func touch(_ buffers: MemoryBuffers, threads: Int, loops: MeasuringLoops) {
    let slices = (0..<threads).map { buffers.slice($0, of: threads) }
    _ = timeTogether(threads: threads) { index in slices[index].touch() }
  }

  private static func improve(
    _ rates: inout Rates, _ buffers: MemoryBuffers, _ loops: MeasuringLoops
  ) {
    improveMultiplyAdds(&rates, loops)
    let threads = rates.threads
    let slices = (0..<threads).map { buffers.slice($0, of: threads) }
    for mix in AccessMix.allCases {
      let seconds = timeTogether(threads: threads) { index in
        consume(loops.run(mix, slices[index]))
      }
      let bytes = Double(buffers.count * mix.bytesPerElement)
      let path = Rates.path(mix)
      rates[keyPath: path] = max(rates[keyPath: path], bytes / seconds * 1e-9)
    }
  }

  private static func improveMultiplyAdds(_ rates: inout Rates, _ loops: MeasuringLoops) {
    func seconds(_ iterations: Int, threads: Int) -> Double {
      timeTogether(threads: threads) { _ in consume(loops.multiplyAdd(iterations: iterations)) }
    }
    // Samples of 1 to 2 ms, short enough to fall between the time slices of other programs; twenty
    // in a row, long enough for the clock to settle at its speed for wide vectors.
    var iterations = 1000
    while seconds(iterations, threads: 1) < 0.001 { iterations *= 2 }
    let operations = Double(iterations) * loops.operationsPerIteration * Double(rates.threads)
    for _ in 0..<20 {
      let rate = operations / seconds(iterations, threads: rates.threads) * 1e-9
      rates.fmaGflops = max(rates.fmaGflops, rate)
    }
  }
}

/// Keeps a result alive where a compiler that sees through the call could drop it.
private func consume(_ number: Float) { sink.withLock { $0 = $0 * 0.5 + Double(number) } }

private let sink = Mutex(0.0)
