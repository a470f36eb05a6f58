import ArgumentParser
import Dispatch
import Foundation
import KeelKernels
import Synchronization

/// Times parallel regions by Keel's pool and by Dispatch: `make regions`.
///
/// A region has as many tasks as a small layer, of equal length; the ideal time is that of all tasks over the number
/// of threads. Between regions the caller works alone for a while, as between two layers that are split.
@main
struct Regions: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "KeelRegions",
    abstract: "Times parallel regions by Keel's pool and by Dispatch.",
    discussion: """
      Columns are microseconds of a region, the minimum and the median of interleaved samples, and the time \
      over the ideal, which is all tasks' time over the number of threads.

        KeelRegions --threads 2
      """)

  @Option(help: "Threads.") var threads = Parallelism().threadCount
  @Option(help: "Samples of each line.") var rounds = 21
  @Option(help: "Tasks of a region.") var tasks = 16
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    for (name, value) in [("--threads", threads), ("--rounds", rounds), ("--tasks", tasks)]
    where !(1...10_000).contains(value) {
      throw ValidationError("\(name): expected 1 to 10,000, found \(value)")
    }
  }

  private struct Line: Encodable {
    let what: String
    let regionUs: Double
    let gapUs: Double
    let minUs: Double
    let medianUs: Double
    let overIdeal: Double
  }

  private struct Report: Encodable {
    let threads: Int
    let tasks: Int
    let rounds: Int
    let lines: [Line]
  }

  func run() throws {
    var lines: [Line] = []
    // The work of a region on one thread, and the caller's before it, in microseconds.
    for (work, gaps) in [(20.0, [0.0]), (50, [0, 20]), (200, [0, 50]), (1000, [0, 300])] {
      for gap in gaps { lines += measure(work: work, gap: gap) }
    }
    let report = Report(threads: threads, tasks: tasks, rounds: rounds, lines: lines)
    if json {
      let encoder = JSONEncoder()
      encoder.keyEncodingStrategy = .convertToSnakeCase
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      print(String(decoding: try encoder.encode(report), as: UTF8.self))
    } else {
      show(report)
    }
  }

  /// Regions one after another in samples of some milliseconds, by both ways in turn.
  private func measure(work: Double, gap: Double) -> [Line] {
    let task = Work(microseconds: work / Double(tasks))
    let alone = Work(microseconds: gap)
    let parallelism = Parallelism(threads: threads)
    let (count, width) = (tasks, threads)
    let ways: [(name: String, region: () -> Void)] = [
      ("pool", { parallelism.forEach(count, work: .max) { _, _ in task.run() } }),
      (
        "Dispatch",
        {
          // As many strands as threads, which take tasks from one counter.
          let next = Atomic<Int>(0)
          DispatchQueue.concurrentPerform(iterations: width) { _ in
            while next.wrappingAdd(1, ordering: .relaxed).oldValue < count { task.run() }
          }
        }
      ),
    ]
    let regions = max(3, Int(5000 / (work + gap)))
    var samples = ways.map { _ in [Double]() }
    for round in 0...rounds {
      for (i, way) in ways.enumerated() {
        let time = Self.microseconds {
          for _ in 0..<regions {
            alone.run()
            way.region()
          }
        }
        if round > 0 { samples[i].append(time / Double(regions) - gap) }
      }
    }
    let ideal = task.least * Double((tasks + threads - 1) / threads)
    return zip(ways, samples).map { way, samples in
      let sorted = samples.sorted()
      return Line(
        what: way.name, regionUs: work, gapUs: gap, minUs: sorted[0],
        medianUs: sorted[sorted.count / 2], overIdeal: sorted[sorted.count / 2] / ideal)
    }
  }

  private func show(_ report: Report) {
    print("\(threads) threads, \(tasks) tasks, \(rounds) rounds\n")
    print("  work    gap  way            min   median  over ideal")
    for line in report.lines {
      let name = line.what.padding(toLength: 8, withPad: " ", startingAt: 0)
      print(
        String(format: "%6.0f %6.0f  ", line.regionUs, line.gapUs) + name
          + String(format: " %9.1f %8.1f %11.2f", line.minUs, line.medianUs, line.overIdeal))
    }
  }

  static func microseconds(_ body: () -> Void) -> Double {
    let start = DispatchTime.now().uptimeNanoseconds
    body()
    return Double(DispatchTime.now().uptimeNanoseconds - start) / 1000
  }
}

/// Arithmetic in registers that takes about a given time.
private struct Work: Sendable {
  private let steps: Int
  /// Its least time in microseconds.
  let least: Double

  init(microseconds: Double) {
    let trial = 100_000
    let rate = (0..<20).map { _ in Regions.microseconds { Self.run(trial) } }.min()! / Double(trial)
    steps = Int(microseconds / rate)
    least = Double(steps) * rate
  }

  func run() { Self.run(steps) }

  private static func run(_ steps: Int) {
    var x: UInt64 = 88_172_645_463_325_252
    for _ in 0..<steps {
      x ^= x << 13
      x ^= x >> 7
      x ^= x << 17
    }
    if x == 0 { print("never: the generator has no zero") }
  }
}
