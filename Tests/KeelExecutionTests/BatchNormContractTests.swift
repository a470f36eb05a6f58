import KeelExecution
import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Class contract: batch norm kernels on data that breaks careless ones.
@Suite struct BatchNormContractTests {
  /// x → y and moments, with scale 1.5 and shift −0.25 in every channel.
  private func graph(_ type: ValueType, epilogue: Epilogue = Epilogue()) throws -> Graph {
    var builder = GraphBuilder()
    let channels = type.channelCount!
    let x = builder.input("x", type)
    let scale = builder.weight("scale", Tensor(repeating: 1.5, shape: [channels]))
    let shift = builder.weight("shift", Tensor(repeating: -0.25, shape: [channels]))
    let results = try builder.append(
      .normalization(Normalization(statistics: .current, epilogue: epilogue)), [x, scale, shift],
      label: "bn")
    builder.output("y", results[0])
    builder.output("moments", results[1])
    return try builder.finish()
  }

  private func run(_ graph: Graph, _ x: Tensor) throws -> [String: Tensor] {
    let plan = try Plan(graph, inputShapes: ["x": x.shape], options: PlanOptions(threads: 2))
    return try plan(["x": .float32(x)]).mapValues { try $0.floats(at: "test") }
  }

  @Test(arguments: [[64, 3], [1000, 17], [8, 30, 31, 20], [70_000, 5]] as [Shape])
  func farFromZero(shape: Shape) throws {
    // A Float near 10⁴ has a spacing of 1e-3: the mean alone must not be rounded to it. Compared with
    // Double on the same Floats; x − pivot is exact, so what is left is the rounding of three steps.
    let graph = try graph(ValueType(shape: shape))
    for (mean, deviation) in [(1e4, 0.1), (-1e4, 0.1), (1e6, 100), (1e-3, 1e-6)] {
      var source = TensorSource(seed: 61)
      let x = source.normal(shape, mean: mean, deviation: deviation)
      let expected = try graph.reference(["x": .float32(x)]).outputs
      let actual = try run(graph, x)
      let what = "mean \(mean), deviation \(deviation)"
      // The deviations are a Float: half a unit of its last place goes through the root.
      expectClose(actual["y"]!, expected["y"]!, bound: 1e-6, what)
      let moments = expected["moments"]!
      let channels = shape.channelCount
      for c in 0..<channels {
        let mean =
          Double(actual["moments"]![MomentsLayout.mean, c])
          + Double(actual["moments"]![MomentsLayout.meanResidual, c])
        let exact = moments[MomentsLayout.mean, c] + moments[MomentsLayout.meanResidual, c]
        #expect(abs(mean - exact) <= 1e-6 * deviation, "\(what), channel \(c)")
        let squares = Double(actual["moments"]![MomentsLayout.squaredDeviations, c])
        let exactSquares = moments[MomentsLayout.squaredDeviations, c]
        #expect(abs(squares / exactSquares - 1) <= 1e-6, "\(what), channel \(c)")
      }
    }
  }

  @Test(arguments: [Epilogue(), Epilogue(activation: .relu)])
  func gradientFarFromZero(epilogue: Epilogue) throws {
    // The rest of the mean beyond its Float is 1 % of the deviation here, and must not be lost.
    let shape: Shape = [700, 19]
    let test = PrimitiveCase.normalization(
      "bn", shape, try Normalization(statistics: .current, epilogue: epilogue))
    var source = TensorSource(seed: 65)
    let graph = try test.graph(seed: 65)
      .replacingWeights(["x": source.normal(shape, mean: 1e4, deviation: 0.05)])
      .contracted("y", seed: 65)
      .differentiated(contractedName, withRespectTo: .named(test.differentiableNames))
    let expected = try graph.reference([:]).outputs
    let actual = try Interpreter(graph).run([:]).outputs
    for name in test.differentiableNames.map(Graph.gradientName) {
      expectClose(try actual[name]!.floats(at: name), expected[name]!, bound: 3e-6, name)
    }
  }

  @Test(arguments: [[2, 3], [255, 17], [257, 16], [70_001, 5], [3, 7, 7, 33]] as [Shape])
  func constantChannelsGiveTheShift(shape: Shape) throws {
    let graph = try graph(ValueType(shape: shape))
    for value in [0, 0.1, -1e4 / 3, 1e30] as [Float] {
      let results = try run(graph, Tensor(repeating: value, shape: shape))
      #expect(results["y"]!.elements.allSatisfy { $0 == -0.25 }, "value \(value)")
      for c in 0..<shape.channelCount {
        #expect(results["moments"]![MomentsLayout.mean, c] == value)
        #expect(results["moments"]![MomentsLayout.squaredDeviations, c] == 0)
      }
    }
  }

  @Test(arguments: [[40, 5], [300, 17], [70_000, 40]] as [Shape], [Float.nan, .infinity])
  func badValuesStayInTheirChannel(shape: Shape, value: Float) throws {
    var source = TensorSource(seed: 62)
    let clean = source.normal(shape)
    let bad = 3
    let row = shape.rowCount / 2
    var x = clean
    x[flat: row * shape.channelCount + bad] = value
    var graph = try graph(ValueType(shape: shape))
    var builder = GraphBuilder(graph)
    let y = try graph.output(named: "y").value
    let rows = builder.graph.type(of: y).extents.indices.dropLast()
    builder.output("sum", try builder.append(.reduction(Reduction(.sum, axes: rows)), [y])[0])
    graph = try builder.finish()
    let (expected, actual) = try (run(graph, clean), run(graph, x))
    for name in ["y", "moments", "sum"] {
      let channels = shape.channelCount
      for (i, (a, b)) in zip(expected[name]!.elements, actual[name]!.elements).enumerated() {
        if i % channels == bad {
          // The count stays a count.
          #expect(b.isNaN || !b.isFinite || (name == "moments" && i / channels == 0))
        } else {
          #expect(a == b, "\(name) \(i)")
        }
      }
    }
  }

  @Test(arguments: [0, 1, 2])
  func gradientStaysInItsChannel(epilogueNumber: Int) throws {
    let epilogue = [
      Epilogue(), Epilogue(activation: .relu), Epilogue(hasResidual: true, activation: .relu),
    ][epilogueNumber]
    let shape: Shape = [300, 17]
    let test = PrimitiveCase.normalization(
      "bn", shape, try Normalization(statistics: .current, epilogue: epilogue))
    let graph = try test.graph(seed: 63).contracted("y", seed: 63)
      .differentiated(contractedName, withRespectTo: .named(test.differentiableNames))
    let x = try #require(graph.weight(named: "x")).tensor
    var bad = x
    bad[flat: 150 * 17 + 4] = .nan
    let name = Graph.gradientName("x")
    let clean = try Interpreter(graph).run([:]).outputs[name]!.floats(at: name)
    let dirty = try Interpreter(graph.replacingWeights(["x": bad])).run([:]).outputs[name]!
      .floats(at: name)
    for (i, (a, b)) in zip(clean.elements, dirty.elements).enumerated() {
      #expect(i % 17 == 4 ? b.isNaN || b == 0 : a == b, "element \(i)")
    }
  }

  @Test func twoValuesAreEnough() throws {
    let graph = try graph(ValueType([2, 1]))
    let y = try run(graph, Tensor([1, 3], shape: [2, 1]))["y"]!
    let factor = 1.5 / (1 + 1e-5).squareRoot()
    expectClose(
      y.elements.map(Double.init), [-0.25 - factor, -0.25 + factor], within: 2e-7, "two values")
  }

  @Test func invariants() throws {
    // Σ dx = 0 and Σ dx·x̂ = (Σ g′x̂)/s·ε/(v + ε) per channel; the result does not change with the scale
    // of x up to ε.
    let shape: Shape = [4, 9, 9, 21]
    let test = PrimitiveCase.normalization("bn", shape, try Normalization(statistics: .current))
    let graph = try test.graph(seed: 64).contracted("y", seed: 64)
      .differentiated(contractedName, withRespectTo: .named(["x"]))
    let name = Graph.gradientName("x")
    let dx = try Interpreter(graph).run([:]).outputs[name]!.floats(at: name)
    let x = try #require(graph.weight(named: "x")).tensor
    let statistics = DoubleTensor(widening: x).channelStatistics
    for c in 0..<21 {
      var (sum, product, size) = (0.0, 0.0, 0.0)
      for row in 0..<shape.rowCount {
        let d = Double(dx[flat: row * 21 + c])
        let normalized =
          (Double(x[flat: row * 21 + c]) - statistics.means[c]) / statistics.deviations[c]
        sum += d
        product += d * normalized
        size += abs(d)
      }
      #expect(abs(sum) <= 1e-6 * size && abs(product) <= 3e-5 * size, "channel \(c)")
    }
  }
}
