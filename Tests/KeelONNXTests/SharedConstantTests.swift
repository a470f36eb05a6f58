import KeelExecution
import KeelGraph
import KeelONNX
import KeelTensor
import Testing

/// A constant that several operators take, each in its own way.
@Suite struct SharedConstantTests {
  /// (x + a)·a: broadcasting drops a's leading axis, the product does not.
  @Test func broadcastAndWhole() throws {
    var source = RandomSource(seed: 41)
    let (a, x) = (
      Messages.random([1, 4, 2, 1], &source), Messages.random([1, 4, 2, 2], &source)
    )
    let proto = Messages.model(
      [Messages.node("Add", ["x", "a"], ["b"]), Messages.node("MatMul", ["b", "a"], ["y"])],
      inputs: [Messages.input("x", [1, 4, 2, 2])], outputs: ["y"],
      initializers: [Messages.tensor("a", a)])
    let graph = try ONNXModel(proto, name: "m").graph()
    let y = try Interpreter(graph).run(["x": .float32(x)]).outputs["y"]!.floats(at: "y")
    #expect(y.shape == [1, 4, 2, 1])
    for c in 0..<4 {
      for i in 0..<2 {
        let expected = (0..<2).reduce(Float(0)) {
          $0 + (x[0, c, i, $1] + a[0, c, i, 0]) * a[0, c, $1, 0]
        }
        #expect(abs(y[0, c, i, 0] - expected) <= 1e-5)
      }
    }
  }
}
