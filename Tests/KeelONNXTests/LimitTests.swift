import Foundation
import KeelGraph
import KeelONNX
import KeelTensor
import Testing

/// A file of a few bytes does not fill the memory or the stack.
@Suite struct LimitTests {
  private static let ones = [Int64](repeating: 1, count: 65)

  /// x + a constant that some nodes make.
  private func model(
    _ nodes: [ONNXNodeProto], _ initializers: [ONNXTensorProto], input: [Any] = [1]
  ) -> ONNXModelProto {
    Messages.model(
      nodes + [Messages.node("Add", ["x", "c"], ["y"])], inputs: [Messages.input("x", input)],
      outputs: ["y"], initializers: initializers, version: 18)
  }

  private func expectError(
    _ words: String, _ proto: ONNXModelProto, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    ReadingTests.expectError(.graph, words, proto, sourceLocation: sourceLocation)
  }

  @Test func constantsOfShapes() throws {
    func filled(_ extents: [Int64]) -> ONNXModelProto {
      model(
        [Messages.node("ConstantOfShape", ["shape"], ["c"])], [Messages.integers("shape", extents)])
    }
    // Weights may be made so.
    let graph = try ONNXModel(filled([1024, 1025]), name: "m").graph()
    #expect(graph.weights[0].tensor.shape == [1024, 1025])
    expectError("elements", filled([1 << 14, 1 << 14, 2]))
    expectError("axes", filled(Self.ones))
    let options = ONNXImportOptions(computedElements: 1 << 10)
    _ = try ONNXModel(filled([1 << 10]), name: "m").graph(options)
    #expect(throws: KeelError.self) {
      try ONNXModel(filled([1 << 10 + 1]), name: "m").graph(options)
    }
    // Each alone is small enough.
    let many = (0..<16).map { Messages.node("ConstantOfShape", ["shape"], ["c\($0)"]) }
    let sum = model(
      many + [Messages.node("Sum", (0..<16).map { "c\($0)" }, ["c"])],
      [Messages.integers("shape", [1 << 9])])
    _ = try ONNXModel(sum, name: "m").graph()
    #expect {
      try ONNXModel(sum, name: "m").graph(options)
    } throws: {
      "\($0)".contains("computedElements")
    }
  }

  @Test func constantsOfConstants() {
    let one = Messages.tensor("one", Tensor(zeros: [1]))
    let expand = [Messages.node("Expand", ["one", "shape"], ["c"])]
    expectError("elements", model(expand, [one, Messages.integers("shape", [1 << 21])]))
    expectError("axes", model(expand, [one, Messages.integers("shape", Self.ones)]))
    let (column, row) = (
      Messages.tensor("column", Tensor(zeros: [2048, 1])),
      Messages.tensor("row", Tensor(zeros: [1, 2048]))
    )
    expectError(
      "elements", model([Messages.node("Mul", ["column", "row"], ["c"])], [column, row]))
    var scalars = [("start", 0), ("limit", 1 << 30), ("step", 1)].map { name, value in
      Messages.integers(name, [Int64(value)])
    }
    for k in scalars.indices { scalars[k].dims = [] }
    expectError(
      "elements", model([Messages.node("Range", ["start", "limit", "step"], ["c"])], scalars))
  }

  @Test func axes() {
    var tensor = Messages.tensor("c", Tensor(zeros: [1]))
    tensor.dims = Self.ones
    ReadingTests.expectError(.file, "axes", model([], [tensor]))
    let c = Messages.tensor("c", Tensor(zeros: [1]))
    expectError("axes", model([], [c], input: Self.ones.map { Int($0) }))
  }

  @Test func parts() {
    let split = Messages.node(
      "Split", ["x"], ["a", "b"], [Messages.attribute("num_outputs", int: 1 << 31 - 1)])
    expectError(
      "a result for each",
      Messages.model(
        [split], inputs: [Messages.input("x", [1 << 31 - 1])], outputs: ["a", "b"], version: 18))
  }

  /// Numbers whose sums and products do not fit.
  @Test func overflows() {
    var empty = Messages.tensor("c", Tensor(zeros: [1]))
    empty.dims = [0, .max, .max]
    empty.rawData = .init()
    ReadingTests.expectError(.file, "extents", model([], [empty]))
    let weight = Messages.tensor("w", Tensor(zeros: [1, 1, 1, 1]))
    let up = Messages.node(
      "ConvTranspose", ["x", "w"], ["y"],
      [
        Messages.attribute("output_padding", ints: [.max, 0]),
        Messages.attribute("auto_pad", string: "SAME_UPPER"),
      ])
    expectError(
      "output_padding",
      Messages.model(
        [up], inputs: [Messages.input("x", [1, 1, 2, 2])], outputs: ["y"], initializers: [weight]))
    let side = 1 << 20
    expectError(
      "2⁴⁰ elements",
      Messages.model(
        [Messages.node("MatMul", ["a", "b"], ["y"])],
        inputs: [
          Messages.input("a", [side, 1, side, 1, 1, 1]),
          Messages.input("b", [1, side, 1, side, 1, 1]),
        ], outputs: ["y"]))
  }
}
