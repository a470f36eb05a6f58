import KeelTestSupport
import Testing

@Suite struct VerifyTests {
  private struct Result: Decodable {
    struct Output: Decodable {
      let name: String
      let shape: [Int]
      let maxDifference: Double
      let maxRelativeDifference: Double
      let top1Agreement: Double?
    }
    let network: String
    let runs: Int
    let seed: Int?
    let threads: Int
    let tolerance: Double
    let passed: Bool
    let maxDifference: Double
    let maxRelativeDifference: Double
    let top1Agreement: Double?
    let outputs: [Output]
  }

  @Test func json() async throws {
    let run = try await CommandRun(
      "verify", modelFile("classifier.onnx"), "--json", "--runs", "3", "--batch", "2")
    #expect(run.status == 0)
    #expect(run.messages.isEmpty)
    let result = try run.json(Result.self)
    #expect(result.passed && result.runs == 3 && result.seed == 0 && result.tolerance == 1e-4)
    #expect(result.outputs.map(\.name) == ["logits"])
    #expect(result.outputs[0].shape == [2, 5])
    #expect(result.top1Agreement == 1 && result.outputs[0].top1Agreement == 1)
    #expect(result.maxDifference > 0 && result.maxRelativeDifference > 0)
    #expect(result.maxRelativeDifference <= 1e-5)
    // A seed and a number of runs give the same figures, whatever the threads; another seed gives others.
    func difference(_ options: String...) async throws -> Double {
      try await CommandRun(
        ["verify", modelFile("classifier.onnx"), "--json", "--batch", "2"] + options
      ).json(Result.self).maxDifference
    }
    let first = try await difference("--runs", "3", "--threads", "1")
    #expect(first == result.maxDifference)
    #expect(try await difference("--runs", "3", "--seed", "1") != first)
  }

  @Test func text() async throws {
    let run = try await CommandRun("verify", modelFile("classifier.onnx"))
    #expect(run.status == 0)
    #expect(run.messages.isEmpty)
    #expect(run.output.contains("input 1×3×8×6, 1 run: folded in Float against unfolded in Double"))
    #expect(run.output.contains(#/\nlogits +1×5 +\d\.\d\de-\d\d +\d\.\d\de-\d\d +100.00 %\n/#))
    #expect(run.output.contains("\npassed: "))
  }

  @Test func pastTheTolerance() async throws {
    let run = try await CommandRun(
      "verify", modelFile("classifier.onnx"), "--tolerance", "0", "--runs", "3", "--json")
    #expect(run.status == 1)
    #expect(try run.json(Result.self).passed == false)
    #expect(run.messages.hasPrefix("Error: the folded network differs from the unfolded one by "))
  }

  @Test func inputsFromFiles() async throws {
    let run = try await CommandRun(
      "verify", modelFile("classifier.onnx"), "--input", modelFile("classifier-x.npy"), "--json")
    #expect(run.status == 0, "\(run.messages)")
    let result = try run.json(Result.self)
    #expect(result.seed == nil && result.outputs[0].shape == [2, 5])
    let both = try await CommandRun(
      "verify", modelFile("ports.onnx"), "--input", "index=\(modelFile("ports-index.npy"))",
      "--input", modelFile("ports-image.npy"), "--json")
    #expect(both.status == 0, "\(both.messages)")
    #expect(try both.json(Result.self).outputs.map(\.name) == ["map/out:0", ".rows"])
  }

  @Test func randomIntegersAndOpenExtents() async throws {
    let ports = try await CommandRun("verify", modelFile("ports.onnx"), "--json")
    #expect(ports.status == 0, "\(ports.messages)")
    let segmenter = try await CommandRun(
      "verify", modelFile("segmenter.onnx"), "--extent", "height=5", "--extent", "width=4",
      "--json")
    #expect(segmenter.status == 0, "\(segmenter.messages)")
    #expect(try segmenter.json(Result.self).outputs[0].shape == [1, 2, 5, 4])
    #expect(try segmenter.json(Result.self).top1Agreement == nil)
  }

  @Test func builtIn() async throws {
    let run = try await CommandRun("verify", "digits", "--json")
    #expect(run.status == 0)
    #expect(try run.json(Result.self).top1Agreement == 1)
  }
}
