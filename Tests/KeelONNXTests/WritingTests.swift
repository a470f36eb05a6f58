import Foundation
import KeelExecution
import KeelFormats
import KeelGraph
import KeelTensor
import KeelONNX
import KeelTestSupport
import Testing

/// Models on their way to files.
@Suite struct WritingTests {
  private func network() throws -> ExportCase {
    try #require(ExportCase.networks.first { $0.name == "LeNet" })
  }

  @Test func fileIsReadAgain() throws {
    let folder = try TemporaryFolder()
    let (test, file) = (try network(), URL(filePath: folder.file("lenet.onnx")))
    try ONNXModel(test.graph, name: "LeNet").write(to: file)
    let model = try ONNXModel(contentsOf: file)
    #expect(model.operatorVersion == ONNXModel.writtenOperatorVersion)
    #expect(model.producer == "Keel")
    let read = try model.graph(ONNXImportOptions(channelsLast: ["x"]))
    try expectSame(
      try Interpreter(read).run(test.inputs).outputs, try test.outputs(), bound: 1e-6, "file")
    #expect(try folder.names == ["lenet.onnx"])
  }

  /// A read model is written as it was.
  @Test func readModelIsWritten() throws {
    let folder = try TemporaryFolder()
    let proto = NetworkTests.network(batch: 2)
    try ONNXModel(proto, name: "m").write(to: URL(filePath: folder.file("m.onnx")))
    #expect(try ONNXModel(contentsOf: URL(filePath: folder.file("m.onnx"))).proto == proto)
  }

  @Test func largeModelsKeepTensorsInASecondFile() throws {
    let folder = try TemporaryFolder()
    let (test, file) = (try network(), URL(filePath: folder.file("lenet.onnx")))
    let model = try ONNXModel(test.graph)
    try model.write(to: file, largestMessage: 1000)
    let names = try folder.names.sorted()
    #expect(names.count == 2 && names[1].hasPrefix("lenet.onnx.") && names[1].hasSuffix(".data"))
    let read = try ONNXModel(contentsOf: file)
    #expect(read.proto.graph.initializer.allSatisfy { $0.dataLocation == 1 && !$0.hasRawData })
    let graph = try read.graph(ONNXImportOptions(channelsLast: ["x"]))
    try expectSame(
      try Interpreter(graph).run(test.inputs).outputs, try test.outputs(), bound: 1e-6, "data")
    try model.write(to: file, largestMessage: 1000)
    #expect(try folder.names.sorted() == names)

    let error = #expect(throws: KeelError.self) { try read.write(to: file) }
    #expect(error?.kind == .file)
  }

  @Test func aFailureLeavesTheOldFile() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Array("old".utf8), to: "a.onnx")
    let model = try ONNXModel(try network().graph)
    let error = #expect(throws: KeelError.self) {
      try model.write(to: URL(filePath: folder.file("missing/a.onnx")))
    }
    #expect(error?.kind == .file)
    // No space: the new file never takes the place of the old one.
    #expect(throws: KeelError.self) { try model.write(to: URL(filePath: "/dev/full")) }
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "old")
    try model.write(to: URL(filePath: path))
    #expect(try folder.names == ["a.onnx"])
  }
}
