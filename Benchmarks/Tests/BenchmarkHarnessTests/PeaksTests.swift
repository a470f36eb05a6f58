import BenchmarkHarness
import Synchronization
import Testing

@Suite struct PeaksTests {
  @Test(arguments: [1, 2, 5])
  func everyThreadRunsOnce(threads: Int) {
    let seen = Mutex<[Int]>([])
    let seconds = timeTogether(threads: threads) { index in seen.withLock { $0.append(index) } }
    #expect(seen.withLock { $0.sorted() } == Array(0..<threads))
    #expect(seconds >= 0)
  }

  @Test func timesTheSlowestThread() {
    let seconds = timeTogether(threads: 2) { index in
      let end = steadySeconds() + (index == 1 ? 0.02 : 0)
      while steadySeconds() < end {}
    }
    #expect(seconds >= 0.02)
  }

  @Test(arguments: [1, 2])
  func ratesArePositive(threads: Int) {
    let peaks = Peaks.measure(threads: threads, bufferBytes: 1 << 16, rounds: 1)
    for rates in [peaks.oneThread, peaks.allThreads] {
      let all = [rates.fmaGflops, rates.readGbs, rates.copyGbs, rates.addGbs, rates.fillGbs]
      #expect(all.allSatisfy { $0 > 0 && $0.isFinite })
    }
    #expect(peaks.oneThread.threads == 1)
    #expect(peaks.allThreads.threads == threads)
    var again = peaks
    again.measureMultiplyAddsAgain()
    #expect(again.oneThread.fmaGflops >= peaks.oneThread.fmaGflops)
    #expect(again.allThreads.readGbs == peaks.allThreads.readGbs)
  }
}
