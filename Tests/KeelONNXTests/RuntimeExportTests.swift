import Foundation
import KeelFormats
import KeelGraph
import KeelTensor
import KeelONNX
import KeelTestSupport
import Testing

/// Writes models with inputs and outputs into the folder that `KEEL_ONNX_EXPORTS` names, for
/// Scripts/check-onnx-exports.py, which runs ONNX's checker and ONNX Runtime on them.
@Suite struct RuntimeExportTests {
  static let folder = ProcessInfo.processInfo.environment["KEEL_ONNX_EXPORTS"]

  @Test(.enabled(if: folder != nil, "KEEL_ONNX_EXPORTS does not name a folder"))
  func models() throws {
    let folder = URL(filePath: try #require(Self.folder))
    var cases = ExportCase.networks.map { (test: $0, turns: true) }
    for test in ExportCase.primitives where ExportCase.hasForm(test.primitive) {
      cases.append((try ExportCase(test, seed: 3), false))
    }
    for test in try importedNetworks() { cases.append((test, false)) }
    for (position, entry) in cases.enumerated() {
      // Every third one with its tensors in a second file.
      try write(
        entry.test, turns: entry.turns, largestMessage: position % 3 == 0 ? 0 : .max,
        to: folder.appendingPathComponent("case\(position)"))
    }
  }

  /// ONNX's own networks with constant weights, where `KEEL_ONNX_DATA` names them.
  private func importedNetworks() throws -> [ExportCase] {
    guard let data = ConformanceTests.folder else { return [] }
    return try [
      "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet", "squeezenet",
    ].map { name in
      let file = URL(filePath: data).appendingPathComponent("light/light_\(name).onnx")
      let graph = try ONNXModel(contentsOf: file).graph()
      let shape = try graph.type(of: graph.inputs[0].value).shape(binding: [:])
      return ExportCase("imported \(name)", graph, shape, seed: 11)
    }
  }

  private func write(_ test: ExportCase, turns: Bool, largestMessage: Int, to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let options = ONNXExportOptions(channelsLast: turns ? [] : test.interface)
    try ONNXModel(test.graph, name: test.name, options: options)
      .write(
        to: folder.appendingPathComponent("model.onnx"), largestMessage: largestMessage)
    func put(_ kind: String, _ names: [String], _ values: [String: TensorValue]) throws {
      for (position, name) in names.enumerated() {
        // The order of the axes in the model is a part of the file's name.
        let value = try #require(values[name])
        let rank = value.shape.rank
        let order = turns && rank > 2 ? [0, rank - 1] + Array(1..<rank - 1) : Array(0..<rank)
        let axes = order.map(String.init).joined(separator: "-")
        let file = folder.appendingPathComponent("\(kind),\(position),\(axes).npy")
        try NumPyFile.write(value, to: file.path)
      }
    }
    try put("input", test.graph.inputs.map(\.name), test.inputs)
    try put("output", test.graph.outputs.map(\.name), try test.outputs())
    try test.name.write(
      to: folder.appendingPathComponent("name.txt"), atomically: true, encoding: .utf8)
  }
}
