import Foundation
import KeelExecution
import KeelGraph
import KeelONNX
import KeelTensor
import SwiftProtobuf
import Testing

/// What is wrong with a file is said, and nothing that is wrong crashes.
@Suite struct ReadingTests {
  static func expectError(
    _ kind: KeelError.Kind, _ words: String, _ proto: ONNXModelProto,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    do throws(KeelError) {
      _ = try ONNXModel(proto, name: "m.onnx").graph()
      Issue.record("no error", sourceLocation: sourceLocation)
    } catch {
      #expect(error.kind == kind, "\(error)", sourceLocation: sourceLocation)
      #expect(
        words.isEmpty || "\(error)".contains(words), "\(error)", sourceLocation: sourceLocation)
      #expect(error.place.contains("m.onnx"), "\(error)", sourceLocation: sourceLocation)
    }
  }

  static func relu(_ inputs: [String] = ["x"], _ outputs: [String] = ["y"]) -> ONNXModelProto {
    Messages.model(
      [Messages.node("Relu", inputs, outputs)], inputs: [Messages.input("x", [2, 3])],
      outputs: ["y"])
  }

  @Test func versions() {
    var proto = Self.relu()
    proto.irVersion = 99
    Self.expectError(.file, "version", proto)
    proto = Self.relu()
    proto.opsetImport[0].version = 5
    Self.expectError(.file, "operators", proto)
    proto.opsetImport = []
    Self.expectError(.file, "one version", proto)
    proto = Self.relu()
    proto.clearGraph()
    Self.expectError(.file, "no graph", proto)
  }

  @Test func namesAndOrder() {
    Self.expectError(.file, "z, which nothing makes", Self.relu(["z"]))
    Self.expectError(.file, "which a node after it makes", Self.relu(["y"]))
    Self.expectError(.file, "x twice", Self.relu(["x"], ["x"]))
    var proto = Self.relu()
    proto.graph.input.append(proto.graph.input[0])
    Self.expectError(.file, "x twice", proto)
    proto = Self.relu()
    proto.graph.output[0].name = "nothing"
    Self.expectError(.file, "none of that name", proto)
  }

  @Test func tensors() {
    func model(_ change: (inout ONNXTensorProto) -> Void) -> ONNXModelProto {
      var tensor = Messages.tensor("w", Tensor(zeros: [2, 3]))
      change(&tensor)
      return Messages.model(
        [Messages.node("Add", ["x", "w"], ["y"])], inputs: [Messages.input("x", [2, 3])],
        outputs: ["y"], initializers: [tensor])
    }
    Self.expectError(.file, "24 bytes", model { $0.rawData.removeLast() })
    Self.expectError(.file, "extents", model { $0.dims = [-1, 3] })
    Self.expectError(.file, "extents", model { $0.dims = [1 << 40, 1 << 40] })
    Self.expectError(.file, "element type 8", model { $0.dataType = 8 })
    for location in ["/etc/passwd", "../w", "a/../../w", ""] {
      Self.expectError(
        .file, "",
        model {
          $0.clearRawData()
          $0.dataLocation = 1
          var entry = ONNXStringStringEntryProto()
          entry.key = "location"
          entry.value = location
          $0.externalData = [entry]
        })
    }
  }

  @Test func externalDataStaysInTheFolder() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "keel-onnx-\(ProcessInfo.processInfo.processIdentifier)")
    let models = folder.appendingPathComponent("models")
    try FileManager.default.createDirectory(at: models, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let values: [Float] = [1, -2, 3, 4, 5, 6]
    let bytes = values.withUnsafeBytes { Data($0) }
    try (Data(count: 8) + bytes).write(to: models.appendingPathComponent("w.bin"))
    try bytes.write(to: folder.appendingPathComponent("outside.bin"))
    try FileManager.default.createSymbolicLink(
      at: models.appendingPathComponent("link.bin"),
      withDestinationURL: folder.appendingPathComponent("outside.bin"))
    func graph(_ entries: [String: String]) throws -> Graph {
      var tensor = Messages.tensor("w", Tensor(zeros: [2, 3]))
      tensor.clearRawData()
      tensor.dataLocation = 1
      tensor.externalData = entries.map { key, value in
        var entry = ONNXStringStringEntryProto()
        (entry.key, entry.value) = (key, value)
        return entry
      }
      let proto = Messages.model(
        [Messages.node("Add", ["x", "w"], ["y"])], inputs: [Messages.input("x", [2, 3])],
        outputs: ["y"], initializers: [tensor])
      let file = models.appendingPathComponent("m.onnx")
      try proto.serializedData().write(to: file)
      return try ONNXModel(contentsOf: file).graph()
    }
    let good = try graph(["location": "w.bin", "offset": "8", "length": "24"])
    #expect(good.weight(named: "w")?.tensor.elements == values)
    for entries in [
      ["location": "../outside.bin"], ["location": "link.bin"],
      ["location": folder.appendingPathComponent("outside.bin").path],
      ["location": "w.bin", "offset": "9", "length": "24"], ["location": "w.bin", "offset": "-1"],
      ["location": "w.bin", "offset": "8", "length": "9223372036854775807"],
      ["location": "none.bin"],
    ] {
      #expect(throws: KeelError.self, "\(entries)") { try graph(entries) }
    }
  }

  @Test func everythingThatIsMissingIsReportedAtOnce() {
    let proto = Messages.model(
      [
        Messages.node("Frobnicate", ["x"], ["a"], name: "first"),
        Messages.node("Relu", ["a"], ["b"]),
        Messages.node(
          "Relu", ["x"], ["c"], name: "second", [Messages.attribute("odd", int: 1)]),
        Messages.node("Loop", ["b"], ["y"], name: "third"),
      ], inputs: [Messages.input("x", [2, 3])], outputs: ["y"])
    for words in [
      "first (Frobnicate)", "second (Relu)", "odd", "third (Loop)", "3 that it has not",
    ] { Self.expectError(.graph, words, proto) }
  }

  /// A softmax of a scalar, which has no axis.
  @Test func softmaxOfAScalar() {
    for (version, axis) in [(Int64(11), 0), (11, -1), (17, -1), (17, 0)] {
      let proto = Messages.model(
        [Messages.node("Softmax", ["x"], ["y"], [Messages.attribute("axis", int: axis)])],
        inputs: [Messages.input("x", [])], outputs: ["y"], version: version)
      Self.expectError(.graph, "an axis of 0", proto)
    }
  }

  /// Bytes of a model changed at random: an error or a graph, never a crash.
  @Test func changedBytesDoNotCrash() throws {
    let data = try NetworkTests.network(batch: 2).serializedData()
    let seed: UInt64 = 6_001
    var source = RandomSource(seed: seed)
    var graphs = 0
    for _ in 0..<2_000 {
      var changed = data
      switch source.below(3) {
      case 0: changed = changed.prefix(source.below(changed.count))
      case 1:
        let start = source.below(changed.count)
        changed.removeSubrange(start..<min(changed.count, start + 1 + source.below(9)))
      default: break
      }
      for _ in 0..<source.below(4) where !changed.isEmpty {
        let position = changed.startIndex + source.below(changed.count)
        changed[position] = UInt8(source.below(256))
      }
      do throws(KeelError) {
        _ = try ONNXModel(changed).graph()
        graphs += 1
      } catch {
        #expect(!error.expected.isEmpty, "seed \(seed)")
      }
    }
    #expect(graphs > 100, "seed \(seed): most changes of weights leave a graph")
  }
}
