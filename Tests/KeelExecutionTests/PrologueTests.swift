import KeelExecution
import KeelGraph
import KeelKernels
import KeelTensor
import KeelTestSupport
import Testing

/// Class identity: a convolution that normalizes what it reads gives the bits of the two operations.
@Suite struct PrologueTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    /// The steps of a plan with constant weights.
    let steps: Int
    let graph: @Sendable () throws -> Graph
    var testDescription: String { name }
  }

  /// A norm, perhaps with a ReLU, and a convolution, on three images.
  private static func pair(
    _ name: String, steps: Int = 1, size: Int = 7, inputs: Int = 24, outputs: Int = 40,
    kernel: Int = 1, groups: Int = 1, affine: Bool = true,
    epilogue: Epilogue = Epilogue(activation: .relu)
  ) -> Case {
    Case(name: name, steps: steps) {
      try graph(size, inputs) { writer, x in
        let normed = try writer.norm(
          x, affine: affine, epilogue: epilogue, residual: epilogue.hasResidual ? x : nil,
          label: "norm")
        return try writer.convolution(
          normed, sameGeometry(size, inputs, outputs, kernel: kernel, groups: groups), bias: true,
          label: "conv")
      }
    }
  }

  private static func graph(
    _ size: Int, _ channels: Int, _ body: (inout NetworkWriter, ValueID) throws -> ValueID
  ) throws -> Graph {
    var writer = NetworkWriter(seed: 81)
    let extents = [Extent.fixed(size), .fixed(size), .fixed(channels)]
    let x = writer.builder.input("x", ValueType([.batch] + extents))
    writer.builder.output("y", try body(&writer, x))
    return try writer.builder.finish()
  }

  static let cases: [Case] = [
    pair("ReLU"), pair("no ReLU", epilogue: Epilogue()), pair("no scale", affine: false),
    pair("odd channels", size: 3, inputs: 13, outputs: 9),
    pair("deeper than a block", size: 5, inputs: 800, outputs: 130),
    pair("many pixels", size: 40, inputs: 64, outputs: 128),
    pair("one pixel", size: 1, inputs: 70, outputs: 300),
    pair("groups", inputs: 36, outputs: 60, groups: 3),
    // Those that stay steps of their own.
    pair("few outputs", steps: 2, outputs: 4), pair("larger windows", steps: 2, kernel: 3),
    pair("residual", steps: 2, epilogue: Epilogue(hasResidual: true, activation: .relu)),
    Case(name: "two that read it", steps: 3) {
      try graph(6, 8) { writer, x in
        let normed = try writer.norm(x, label: "norm")
        let first = try writer.convolution(normed, sameGeometry(6, 8, 9, kernel: 1), label: "a")
        writer.builder.output("a", first)
        return try writer.convolution(normed, sameGeometry(6, 8, 9, kernel: 1), label: "b")
      }
    },
    Case(name: "an output between", steps: 2) {
      try graph(6, 8) { writer, x in
        let normed = try writer.norm(x, label: "norm")
        writer.builder.output("between", normed)
        return try writer.convolution(normed, sameGeometry(6, 8, 9, kernel: 1), label: "conv")
      }
    },
    Case(name: "statistics of the run", steps: 2) {
      try graph(6, 8) { writer, x in
        let normalization = try Normalization(statistics: .current, recovery: .none)
        let normed = try writer.builder.append(.normalization(normalization), [x])[0]
        return try writer.convolution(normed, sameGeometry(6, 8, 9, kernel: 1), label: "conv")
      }
    },
  ]

  @Test(arguments: cases, [1, 2, 3])
  func planEqualsInterpreter(_ test: Case, threads: Int) throws {
    let graph = try test.graph()
    let plans = try expectPlansEqualInterpreter(graph, seed: 82, threads: threads)
    #expect(plans.constant.stepCount == test.steps)
    #expect(plans.variable.stepCount == graph.nodes.count)
  }

  /// NaN and infinity of one pixel stay there, as without the prologue.
  @Test func specialValues() throws {
    let graph = try Self.cases[0].graph()
    var x = Tensor(zeros: [1, 7, 7, 24])
    x.withMutableSpan {
      $0[5] = .nan
      $0[24 * 9 + 3] = .infinity
      $0[24 * 20] = -.infinity
    }
    let inputs = ["x": TensorValue.float32(x)]
    let plan = try Plan(graph, inputShapes: ["x": x.shape])
    expectSameBits(try plan(inputs), try Interpreter(graph).run(inputs).outputs, "special values")
  }
}
