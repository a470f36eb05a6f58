import CBenchmarkLoops
import Testing

@testable import BenchmarkHarness

/// Every instruction set of this CPU against plain loops, around the edges of their vectors.
@Suite struct LoopsTests {
  static let levels = Array(0..<Int(benchmark_loops_count()))
  static let counts = [0, 1, 3, 4, 15, 16, 17, 31, 32, 63, 64, 127, 128, 129, 1000]

  private func table(_ level: Int) throws -> benchmark_loops {
    try #require(benchmark_loops_at(Int32(level))).pointee
  }

  @Test(arguments: levels, counts)
  func accessMixes(level: Int, count: Int) throws {
    let loops = try table(level)
    // Small whole numbers: sums are exact in any order. One guard element past the end.
    let a = (0..<count).map { Float($0 % 13) } + [0]
    let b = (0..<count).map { Float($0 % 7) } + [0]
    #expect(loops.read(a, count) == a.reduce(0, +))

    func written(_ body: (UnsafeMutablePointer<Float>) -> Void) -> [Float] {
      var y = [Float](repeating: -1, count: count + 1)
      y.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
      return y
    }
    let guardElement: [Float] = [-1]
    #expect(written { loops.copy($0, a, count) } == a.prefix(count) + guardElement)
    #expect(
      written { loops.add($0, a, b, count) }
        == zip(a, b).prefix(count).map { $0 + $1 } + guardElement)
    #expect(
      written { loops.fill($0, 2.5, count) }
        == [Float](repeating: 2.5, count: count) + guardElement)
    // Three reads for a write, and all of both: sums of small whole numbers are exact.
    let reads = (0..<3 * count).map { Float($0 % 13) }
    var total: Float = 0
    let stored = written { total = loops.stream($0, count, reads, reads.count) }
    #expect(stored == [Float](repeating: 1, count: count) + guardElement)
    #expect(total == reads.reduce(0, +))
  }

  @Test(arguments: levels)
  func multiplyAddsConverge(level: Int) throws {
    let loops = try table(level)
    // x = x/2 + 1 goes to 2 in every lane of every chain, which is two operations per iteration too.
    #expect(loops.fma(200, 0.5, 1) == Float(loops.fma_operations))
    #expect(loops.fma_operations % Int(2 * loops.lanes) == 0)
  }

  @Test func levelsEnd() {
    #expect(benchmark_loops_at(-1) == nil)
    #expect(benchmark_loops_at(benchmark_loops_count()) == nil)
    #expect(MeasuringLoops.all.count == Self.levels.count)
    #expect(MeasuringLoops.widest.level == MeasuringLoops.all.last?.level)
  }

  @Test(arguments: [1, 2, 3, 7])
  func slicesCoverTheBuffersOnce(threads: Int) {
    let buffers = MemoryBuffers(bytes: 1 << 16)
    let counts = (0..<threads).map { buffers.slice($0, of: threads).count }
    #expect(counts.reduce(0, +) == buffers.count)
    #expect(counts.allSatisfy { $0 % 16 == 0 && $0 > 0 })
  }
}
