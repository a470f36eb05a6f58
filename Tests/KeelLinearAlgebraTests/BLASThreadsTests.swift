import KeelLinearAlgebra
import KeelTensor
import Testing

/// One test at a time and, where the count must not be seen by other suites, in a process of its
/// own: the setting is the process's.
@Suite(.serialized) struct BLASThreadsTests {
  private struct Stop: Error {}

  @Test func oneThreadAfterACall() {
    var c: [Float] = [0]
    var out = c.mutableSpan
    gemm(m: 1, n: 1, k: 1, a: ([2] as [Float]).span, b: ([3] as [Float]).span, c: &out)
    #expect(c == [6])
    #expect(BLASThreads.current == 1)
  }

  @Test func withThreadsRestores() throws {
    BLASThreads.claim()
    let seen = BLASThreads.withThreads(2) {
      let outer = BLASThreads.current
      let inner = BLASThreads.withThreads(1) { BLASThreads.current }
      return [outer, inner, BLASThreads.current]
    }
    #expect(seen == [2, 1, 2])
    #expect(BLASThreads.current == 1)
    #expect(throws: Stop.self) { try BLASThreads.withThreads(2) { throw Stop() } }
    #expect(BLASThreads.current == 1)
  }

  @Test func callsInsideKeepTheCount() {
    let seen = BLASThreads.withThreads(2) {
      var c: [Float] = [0]
      var out = c.mutableSpan
      gemm(m: 1, n: 1, k: 1, a: ([2] as [Float]).span, b: ([3] as [Float]).span, c: &out)
      return BLASThreads.current
    }
    #expect(seen == 2)
  }

  @Test func overridesFromManyThreadsDoNotMix() async {
    let seen = await withTaskGroup(of: Bool.self) { group in
      for task in 0..<16 {
        group.addTask {
          let count = 1 + task % 2
          return BLASThreads.withThreads(count) {
            (0..<100).allSatisfy { _ in BLASThreads.current == count }
          }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(seen == Array(repeating: true, count: 16))
    #expect(BLASThreads.current == 1)
  }

  @Test func releaseGivesBackWhatTheProgramHad() async {
    await #expect(processExitsWith: .success) {
      let before = BLASThreads.current
      BLASThreads.release()
      #expect(BLASThreads.current == before)
      BLASThreads.claim()
      #expect(BLASThreads.current == 1)
      BLASThreads.release()
      #expect(BLASThreads.current == before)
      BLASThreads.withThreads(2) { #expect(BLASThreads.current == 2) }
      #expect(BLASThreads.current == 1)
      BLASThreads.release()
      #expect(BLASThreads.current == before)
    }
  }

  @Test func misuseTraps() async {
    await #expect(processExitsWith: .failure) { BLASThreads.withThreads(0) {} }
    await #expect(processExitsWith: .failure) {
      BLASThreads.withThreads(1) { BLASThreads.release() }
    }
  }
}
