import Foundation
import KeelTestSupport
import Testing

/// What every command does with an ONNX file as MODEL.
@Suite struct ModelFileTests {
  struct Port: Decodable, Equatable {
    let name: String
    let elementType: String
    let shape: [Int]
  }

  struct Summary: Decodable {
    struct Layer: Decodable {
      let path: String
      let operation: String
      let outputShape: [Int]
    }
    let input: [Int]
    let inputs: [Port]
    let outputs: [Port]
    let layers: [Layer]
    let parameters: Int
    let runningStatistics: Int
    let multiplyAdds: Int
  }

  @Test func summaryOfAnOpenBatch() async throws {
    let cases: [(options: [String], batch: Int)] = [
      ([], 1), (["--batch", "4"], 4), (["--extent", "N=3"], 3),
    ]
    for (options, batch) in cases {
      let run = try await CommandRun(
        ["summary", modelFile("classifier.onnx"), "--json"] + options)
      #expect(run.status == 0)
      #expect(run.messages.isEmpty)
      let summary = try run.json(Summary.self)
      // ONNX's axes outside, Keel's inside.
      #expect(summary.input == [batch, 3, 8, 6])
      #expect(summary.inputs == [Port(name: "x", elementType: "float32", shape: [batch, 3, 8, 6])])
      #expect(summary.outputs == [Port(name: "logits", elementType: "float32", shape: [batch, 5])])
      let first = try #require(summary.layers.first { $0.operation == "convolution" })
      #expect(first.path == "conv1" && first.outputShape == [batch, 8, 6, 8])
      #expect(summary.parameters == 8 * 3 * 9 + 8 * 8 * 9 + 2 * 2 * 8 + 5 * 8 + 5)
      #expect(summary.runningStatistics == 2 * 2 * 8)
      #expect(summary.multiplyAdds == batch * (48 * 8 * 27 + 48 * 8 * 72 + 40))
    }
  }

  @Test func summaryOfSeveralPorts() async throws {
    let run = try await CommandRun("summary", modelFile("ports.onnx"))
    #expect(run.status == 0)
    #expect(run.output.hasPrefix("\(modelFile("ports.onnx")), inputs image 1×3×2×4, index 2\n"))
  }

  static let commands: [[String]] = [
    ["summary"], ["fold"], ["verify"], ["bench", "--rounds", "1"],
    ["run", modelFile("classifier-x.npy"), "-o", "/nonexistent/folder"],
  ]

  /// Calls every command on a model, and expects a status, a message and nothing on standard output.
  private func expectFailure(
    _ status: Int32, _ message: String, on model: String, _ options: [String] = []
  ) async throws {
    for command in Self.commands {
      let run = try await CommandRun([command[0], model] + command.dropFirst() + options)
      #expect(run.status == status, "\(command): \(run.messages)")
      #expect(run.messages.hasPrefix("Error: "), "\(command): \(run.messages)")
      #expect(run.messages.contains(message), "\(command): \(run.messages)")
      #expect(run.output.isEmpty, "\(command)")
    }
  }

  @Test func filesThatCannotBeRead() async throws {
    try await expectFailure(3, "/nonexistent.onnx", on: "/nonexistent.onnx")
    let folder = try TemporaryFolder()
    let whole = [UInt8](try Figures.data("onnx/classifier.onnx"))
    let short = try folder.write(Array(whole.prefix(whole.count / 2)), to: "short.onnx")
    try await expectFailure(3, "expected an ONNX model", on: short)
    let text = try folder.write(Array("no model".utf8), to: "text")
    try await expectFailure(3, text, on: text)
    try await expectFailure(3, folder.path, on: folder.path)
  }

  @Test func everythingThatIsNotSupportedIsListed() async throws {
    let model = modelFile("unsupported.onnx")
    try await expectFailure(3, "first (Frobnicate)", on: model)
    try await expectFailure(3, "second (Loop)", on: model)
  }

  @Test func weightsThatCannotBe() async throws {
    let model = modelFile("negative.onnx")
    try await expectFailure(3, "\(model): value error at bn1, bn1.variance", on: model)
  }

  @Test func extents() async throws {
    let model = modelFile("segmenter.onnx")
    try await expectFailure(
      2, "--extent hight: expected one of height, width", on: model, ["--extent", "hight=2"])
    try await expectFailure(
      2, "--extent width: expected one value, found two", on: model,
      ["--extent", "width=2", "--extent", "width=2"])
    for argument in ["width", "width=", "width=0", "=2", "width=99999999999999999999"] {
      try await expectFailure(2, "Expected name=value", on: model, ["--extent", argument])
    }
    try await expectFailure(3, "--extent NAME=VALUE gives values to height, width", on: model)
    try await expectFailure(
      2, "leaves no extent open", on: modelFile("ports.onnx"), ["--extent", "width=2"])
  }

  @Test func batches() async throws {
    for command in ["summary", "verify", "bench"] {
      let run = try await CommandRun(command, modelFile("ports.onnx"), "--batch", "2")
      #expect(run.status == 2)
      #expect(run.messages.contains("--batch: expected 1, which "), "\(run.messages)")
    }
  }

  struct Bench: Decodable {
    struct Times: Decodable {
      let medianMs: Double
      let minMs: Double
    }
    let batch: Int
    let multiplyAddsPerImage: Int
    let fused: Times
    let unfused: Times
    let maxRelativeDifference: Double
  }

  @Test func bench() async throws {
    let run = try await CommandRun(
      "bench", modelFile("classifier.onnx"), "--batch", "4", "--rounds", "2", "--json")
    #expect(run.status == 0)
    #expect(run.messages.isEmpty)
    let result = try run.json(Bench.self)
    #expect(result.batch == 4)
    #expect(result.multiplyAddsPerImage == 48 * 8 * 27 + 48 * 8 * 72 + 40)
    for times in [result.fused, result.unfused] {
      #expect(0 < times.minMs && times.minMs <= times.medianMs)
    }
    #expect(result.maxRelativeDifference <= 1e-5)
    let text = try await CommandRun(
      "bench", modelFile("segmenter.onnx"), "--extent", "height=16", "--extent", "width=16",
      "--rounds", "2")
    #expect(text.status == 0)
    #expect(text.output.contains("1 operation folded"))
  }
}
