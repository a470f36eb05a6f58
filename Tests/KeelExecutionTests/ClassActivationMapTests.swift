import KeelExecution
import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct ClassActivationMapTests {
  /// A small residual network with running statistics of its own.
  private func graph() throws -> Graph {
    var source = RandomSource(seed: 5)
    let net = DigitsResNet(widths: [4, 6], blocksPerStage: 1, classes: 3, using: &source)
    for (path, parameter) in net.parameters where path.hasSuffix("runningMean") {
      parameter.value = Tensor(normal: parameter.shape, deviation: 0.3, using: &source)
    }
    return try Graph(tracing: net, input: [.batch, 8, 8, 1])
  }

  private func images() -> Tensor {
    var source = RandomSource(seed: 6)
    return Tensor(normal: [2, 8, 8, 1], using: &source)
  }

  /// The mean of each map over positions plus the bias is the logit, in Double to rounding.
  @Test func meansAreLogits() throws {
    let graph = try graph().addingClassActivationMaps()
    let bias = try #require(graph.weight(named: "classifier.bias")).tensor
    let results = try ReferenceEvaluator(graph).run([
      "x": .real(DoubleTensor(widening: images()))
    ]).outputs
    let (logits, maps) = try (#require(results["y"]), #require(results["maps"]))
    #expect(maps.shape == [2, 4, 4, 3])
    for n in 0..<2 {
      for c in 0..<3 {
        let sum = (0..<16).reduce(0.0) { $0 + maps[flat: (n * 16 + $1) * 3 + c] }
        #expect(abs(sum / 16 + Double(bias[flat: c]) - logits[flat: n * 3 + c]) <= 1e-12)
      }
    }
  }

  /// Also in a folded plan, whose other outputs stay as they are.
  @Test func foldedPlan() throws {
    let plain = try graph()
    let (folded, _) = try plain.addingClassActivationMaps(of: "y", as: "where").folded()
    let shapes = ["x": images().shape]
    let expected = try Interpreter(plain.addingClassActivationMaps(of: "y", as: "where"))
      .run(["x": .float32(images())]).outputs
    let results = try Plan(folded, inputShapes: shapes)(["x": .float32(images())])
    for name in ["y", "where"] {
      let (a, b) = try (
        #require(expected[name]).floats(at: name), #require(results[name]).floats(at: name)
      )
      #expect(a.shape == b.shape)
      let largest = a.elements.reduce(Float(0)) { max($0, abs($1)) }
      for (a, b) in zip(a.elements, b.elements) { #expect(abs(a - b) <= 1e-5 * largest) }
    }
  }

  /// Enlarged, a map still has the values of its corners.
  @Test func enlarged() throws {
    let small = try graph().addingClassActivationMaps()
    let large = try graph().addingClassActivationMaps(size: 8)
    let inputs = ["x": TensorValue.float32(images())]
    let expected = try #require(try Interpreter(small).run(inputs).outputs["maps"]).floats(at: "")
    let maps = try #require(try Interpreter(large).run(inputs).outputs["maps"]).floats(at: "")
    #expect(maps.shape == [2, 8, 8, 3])
    for c in 0..<3 {
      #expect(maps[flat: c] == expected[flat: c])
      #expect(maps[flat: 2 * 64 * 3 - 3 + c] == expected[flat: 2 * 16 * 3 - 3 + c])
      // A quarter of the way from the first element to the second.
      let middle = 0.75 * expected[flat: c] + 0.25 * expected[flat: 3 + c]
      #expect(abs(maps[flat: 3 + c] - middle) <= 1e-5)
    }
  }

  @Test func graphsThatHaveNone() throws {
    var source = RandomSource(seed: 1)
    let flat = try Graph(
      tracing: Sequential(Flatten(), Linear(64, 2, using: &source)), input: [.batch, 8, 8, 1])
    let pooled = try Graph(
      tracing: Sequential(GlobalAveragePool(), Linear(1, 2, using: &source), ReLU()),
      input: [.batch, 8, 8, 1])
    for (graph, name, found) in [
      (flat, "y", "linear"), (pooled, "y", "ReLU"), (try graph(), "z", "none"),
    ] {
      let error = #expect(throws: KeelError.self) { try graph.addingClassActivationMaps(of: name) }
      #expect(error?.kind == .graph)
      #expect(error?.place == "output \(name)")
      #expect(error?.found == found)
    }
    let error = #expect(throws: KeelError.self) { try graph().addingClassActivationMaps(as: "y") }
    #expect(error?.kind == .graph)
  }

  @Test func display() throws {
    let maps = try Tensor([1, 5, -1, 3, 3, 4, 0, 5, 2, 5, 9, 5], shape: [1, 3, 2, 2])
    let first = try ClassActivationMap(maps, sample: 0, class: 0)
    #expect(first.values == (try Tensor([1, -1, 3, 0, 2, 9], shape: [3, 2])))
    #expect(first.normalized() == (try Tensor([0.2, 0, 0.4, 0.1, 0.3, 1], shape: [3, 2])))
    let constant = try ClassActivationMap(
      Tensor(repeating: 5, shape: [1, 2, 2, 1]), sample: 0, class: 0)
    #expect(constant.normalized() == Tensor(zeros: [2, 2]))
    let broken = try ClassActivationMap(
      Tensor([1, .nan, 2, 3], shape: [1, 2, 2, 1]), sample: 0, class: 0)
    let display = broken.normalized().elements
    #expect(display.allSatisfy { $0.isNaN })
    for (sample, number, found) in [(1, 0, "1"), (-1, 0, "-1"), (0, 2, "2"), (0, -3, "-3")] {
      let error = #expect(throws: KeelError.self) {
        _ = try ClassActivationMap(maps, sample: sample, class: number)
      }
      #expect(error?.kind == .argument)
      #expect(error?.found == found)
    }
    let error = #expect(throws: KeelError.self) {
      _ = try ClassActivationMap(Tensor(zeros: [3, 2]), sample: 0, class: 0)
    }
    #expect(error?.kind == .shape)
  }
}
