import Foundation
import Keel
import KeelONNX
import Testing

@testable import peer

@Suite struct NetworkTests {
  /// A file of a 1×1 convolution from two channels to one, 10·c₀ + c₁.
  private static func writeModel(_ input: [Extent], to file: URL) throws {
    var source = RandomSource(seed: 1)
    let convolution = Conv2d(2, 1, kernel: 1, bias: false, using: &source)
    convolution.weight.value = try Tensor([10, 1], shape: [1, 1, 1, 2])
    try ONNXModel(Graph(tracing: convolution, input: input)).write(to: file)
  }

  /// A file of the sum of two inputs, or of one with itself.
  private static func writeSum(_ inputs: [String], _ extents: [Extent], to file: URL) throws {
    var builder = GraphBuilder()
    var values: [String: ValueID] = [:]
    for name in inputs where values[name] == nil {
      values[name] = builder.input(name, ValueType(extents))
    }
    builder.output("y", try builder.append(.add, inputs.map { values[$0]! })[0])
    try ONNXModel(builder.finish()).write(to: file)
  }

  private static func request(
    _ file: URL, batch: Int = 1, threads: Int = 1, exact: Bool = false
  ) -> String {
    """
    network {"path": "\(file.path)", "batch": \(batch), "threads": \(threads), "exact": \(exact)}
    """
  }

  /// Images are N×C×H×W, as in the file.
  @Test(arguments: [(1, 1, false), (1, 2, true), (2, 1, true), (2, 2, false)])
  func computes(batch: Int, threads: Int, exact: Bool) throws {
    try TestFolder.with { folder in
      let file = folder.appending(path: "model.onnx")
      try Self.writeModel([.batch, 2, 2, 2], to: file)
      let images: [[Float]] = [[1, 3, 5, 7, 2, 4, 6, 8], [0, 1, 0, 2, 5, 0, 6, 0]]
      let expected: [[Float]] = [[12, 34, 56, 78], [5, 10, 6, 20]]
      try TestFolder.write(Array(images[..<batch].joined()), to: folder.appending(path: "x"))
      var service = Service(folder: folder.path)
      let request = Self.request(file, batch: batch, threads: threads, exact: exact)
      #expect(service.answer(request) == "ok")
      #expect(service.answer("run 2").hasPrefix("ok "))
      #expect(service.answer("result y") == "ok")
      #expect(
        try TestFolder.read(folder.appending(path: "y")) == Array(expected[..<batch].joined()))
      #expect(service.answer("result z").hasPrefix("error graph error"))
    }
  }

  @Test func errorsNameWhatIsWrong() throws {
    try TestFolder.with { folder in
      var service = Service(folder: folder.path)
      let file = folder.appending(path: "model.onnx")
      func expect(_ request: String, _ message: String) {
        let answer = service.answer(request)
        #expect(answer.hasPrefix("error ") && answer.contains(message), "\(request): \(answer)")
      }
      expect("network {}", "argument error at network: expected a pass as JSON")
      expect(Self.request(file), "file error")
      try Data("no model".utf8).write(to: file)
      expect(Self.request(file), "expected an ONNX model")
      try Self.writeModel([.batch, 2, 2, 2], to: file)
      expect(Self.request(file, batch: 0), "found batch 0, threads 1")
      expect(Self.request(file, threads: 0), "found batch 1, threads 0")
      expect(Self.request(file), "expected a file, found none")
      try TestFolder.write([1, 2, 3], to: folder.appending(path: "x"))
      expect(Self.request(file, batch: 2), "expected 64 bytes, found 12")
      try Self.writeModel([3, 2, 2, 2], to: file)
      expect(Self.request(file, batch: 2), "which the file is made for, found 2")
      try Self.writeSum(["x", "x"], [.batch, .symbol("height")], to: file)
      expect(Self.request(file), "found batch, height")
    }
  }

  @Test func takesOneInput() throws {
    try TestFolder.with { folder in
      let file = folder.appending(path: "model.onnx")
      try Self.writeSum(["a", "b"], [1, 2], to: file)
      var service = Service(folder: folder.path)
      #expect(service.answer(Self.request(file)).hasSuffix("expected one input, found 2"))
    }
  }
}
