import BenchmarkHarness
import Keel
import Testing

@testable import normalization

@Suite struct MemoryPassesTests {
  private static func passes(
    _ method: NormalizationCase.Method, _ form: NormalizationCase.Form,
    _ pass: NormalizationCase.Pass, _ shape: Shape = [2, 3, 4, 16], near: Int = 1 << 20
  ) -> [MemoryPass] {
    NormalizationCase(method, form, shape).memoryPasses(pass, secondLevelBytes: near)
  }

  // 2×3×4×16 are 384 floats, 192 of them a sample's.
  @Test func batchNormReadsTwice() {
    #expect(
      Self.passes(.batch, .plain, .forward)
        == [MemoryPass(reads: 384, writes: 0), MemoryPass(reads: 384, writes: 384)])
    #expect(
      Self.passes(.batch, .relu, .backward)
        == [MemoryPass(reads: 768, writes: 0), MemoryPass(reads: 768, writes: 384)])
    #expect(
      Self.passes(.batch, .addReLU, .backward)
        == [MemoryPass(reads: 1152, writes: 384), MemoryPass(reads: 768, writes: 384)])
  }

  @Test func samplesThatStayNearAreReadOnce() {
    #expect(
      Self.passes(.group, .addReLU, .forward) == [MemoryPass(reads: 768, writes: 384)])
    #expect(
      Self.passes(.instance, .plain, .backward) == [MemoryPass(reads: 768, writes: 384)])
    // x and dy of a sample are 1536 bytes.
    #expect(Self.passes(.instance, .plain, .backward, near: 1536).count == 1)
    #expect(Self.passes(.instance, .plain, .backward, near: 1535).count == 2)
  }

  @Test func affineElementsMoveOnce() {
    #expect(Self.passes(.layer, .plain, .forward) == [MemoryPass(reads: 768, writes: 384)])
    #expect(
      Self.passes(.layer, .relu, .backward) == [MemoryPass(reads: 1152, writes: 768)])
    #expect(
      Self.passes(.layer, .relu, .backward, [24, 16]) == [MemoryPass(reads: 768, writes: 384)])
  }
}

@Suite struct NormalizationLineTests {
  @Test func linesHaveNamesOfTheirOwn() {
    let lines = NormalizationLine.all(largeBytes: 1 << 20)
    #expect(Set(lines.map(\.name)).count == lines.count)
    #expect(lines.count == 2 * 2 * 3 * (3 * 4 + 2 * 3))
    #expect(lines.allSatisfy { !$0.isLarge || 4 * $0.normalization.shape.elementCount >= 1 << 20 })
  }

  @Test(arguments: NormalizationCase.Method.allCases, NormalizationCase.Form.allCases)
  func resultsAreChecked(method: NormalizationCase.Method, form: NormalizationCase.Form) throws {
    for pass in [NormalizationCase.Pass.forward, .backward] {
      let line = NormalizationLine(
        normalization: NormalizationCase(method, form, [3, 4, 5, 16]), pass: pass, isLarge: false)
      let result = try line.measure(
        threads: 1, sampling: Sampling(rounds: 1, warmUps: 0, minimumSample: 0))
      #expect(result.minMs > 0 && result.floorMinMs > 0)
    }
  }

  @Test func wrongResultsAreFound() throws {
    let line = NormalizationCase(.batch, .plain, [4, 8])
    let ones = Tensor(repeating: 1, shape: [8])
    let x = try Tensor((0..<32).map { Float($0 % 7) }, shape: [4, 8])
    let check = FormulaCheck(line, ["x": x, "scale": ones, "shift": ones, "y": x])
    #expect(throws: Mismatch.self) { try check.check("y", at: "here") }
  }
}
