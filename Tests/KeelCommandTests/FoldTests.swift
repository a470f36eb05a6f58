import KeelTestSupport
import Testing

@Suite struct FoldTests {
  private struct Result: Decodable {
    struct Entry: Decodable {
      let operation: String
      let layer: String
      let outcome: String
      let target: String?
      let reason: String?
    }
    let network: String
    let output: String?
    let folded: Int
    let fused: Int
    let removed: Int
    let kept: Int
    let operationsBefore: Int
    let operationsAfter: Int
    let parametersBefore: Int
    let parametersAfter: Int
    let entries: [Entry]
  }

  @Test func json() async throws {
    let run = try await CommandRun("fold", modelFile("classifier.onnx"), "--json")
    #expect(run.status == 0)
    #expect(run.messages.isEmpty)
    let result = try run.json(Result.self)
    #expect(result.network == modelFile("classifier.onnx"))
    #expect(result.output == nil)
    let norms = result.entries.filter { $0.operation == "batch norm" }
    #expect(norms.map(\.layer) == ["bn1", "bn2"])
    #expect(norms.map(\.outcome) == ["folded", "folded"])
    #expect(norms.map(\.target) == ["convolution conv1", "convolution conv2"])
    for (outcome, count) in [
      ("folded", result.folded), ("fused", result.fused), ("removed", result.removed),
      ("kept", result.kept),
    ] {
      #expect(result.entries.count { $0.outcome == outcome } == count, "\(outcome)")
    }
    #expect(result.entries.allSatisfy { ($0.outcome == "kept") == ($0.reason != nil) })
    #expect(result.operationsAfter < result.operationsBefore)
    // Four vectors of each norm become one bias.
    #expect(result.parametersAfter == result.parametersBefore - 2 * 3 * 8)
  }

  @Test(arguments: [false, true])
  func text(_ isVerbose: Bool) async throws {
    let run = try await CommandRun(
      ["fold", modelFile("classifier.onnx")] + (isVerbose ? ["--verbose"] : []))
    #expect(run.status == 0)
    #expect(run.messages.isEmpty)
    #expect(
      run.output.contains("folded  batch norm bn1 into convolution conv1") == isVerbose)
    #expect(run.output.contains("3 folded, 2 fused, 0 kept"))
    #expect(run.output.contains("operations before, "))
  }

  @Test func builtIn() async throws {
    let result = try await CommandRun("fold", "digits", "--json").json(Result.self)
    #expect((result.folded, result.fused, result.kept) == (22, 25, 0))
  }

  /// The written file is a model that does the same.
  @Test func writtenModel() async throws {
    let folder = try TemporaryFolder()
    let (file, out) = (folder.file("folded.onnx"), folder.file("out"))
    let run = try await CommandRun("fold", modelFile("classifier.onnx"), "-o", file, "--json")
    #expect(run.status == 0, "\(run.messages)")
    #expect(try run.json(Result.self).output == file)
    let again = try await CommandRun("fold", file, "--json").json(Result.self)
    #expect(again.folded == 0)
    let second = try await CommandRun("run", file, modelFile("classifier-x.npy"), "-o", out)
    #expect(second.status == 0)
    expectNear(try floats("\(out)/logits.npy"), try floats(modelFile("classifier-logits.npy")))
  }

  @Test func foldersThatAreNotThere() async throws {
    let run = try await CommandRun(
      "fold", modelFile("classifier.onnx"), "-o", "/nonexistent/folded.onnx")
    #expect(run.status == 3)
    #expect(run.output.isEmpty)
    #expect(run.messages.contains("/nonexistent/folded.onnx"))
  }
}
