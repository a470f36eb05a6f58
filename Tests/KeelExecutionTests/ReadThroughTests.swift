import KeelExecution
import KeelGraph
import KeelKernels
import KeelTensor
import KeelTestSupport
import Testing

/// Class identity: convolutions that read moved and concatenated pixels where they were give the bits of the
/// operations one by one.
@Suite struct ReadThroughTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    /// The steps of an exact plan.
    let steps: Int
    let graph: @Sendable () throws -> Graph
    var testDescription: String { name }
  }

  private static func pad(_ before: Int, _ after: Int, _ mode: PaddingMode) -> AxisMovement {
    .pad(before: before, after: after, mode)
  }

  private static func twice(
    _ extent: Int, _ interpolation: Interpolation = .nearest(.down)
  ) -> AxisMovement {
    .resize(to: 2 * extent, interpolation, .asymmetric, scale: nil)
  }

  /// Movements of the two spatial axes, then a convolution.
  private static func moved(
    _ name: String, _ movements: [[AxisMovement]], steps: Int = 1, inputs: Int = 20,
    outputs: Int = 18, kernel: Int = 3, stride: Int = 1, dilation: Int = 1, padding: Int = 0,
    groups: Int = 1
  ) -> Case {
    Case(name: name, steps: steps) {
      try graph(inputs) { writer, x in
        let y = try writer.moved(x, movements)
        return try writer.convolved(
          y, outputs, kernel: kernel, stride: stride, dilation: dilation, padding: padding,
          groups: groups, label: "conv")
      }
    }
  }

  private static func graph(
    _ channels: Int, height: Int = 6, width: Int = 9,
    _ body: (inout NetworkWriter, ValueID) throws -> ValueID
  ) throws -> Graph {
    var writer = NetworkWriter(seed: 91)
    let x = writer.builder.input(
      "x", ValueType([.batch, .fixed(height), .fixed(width), .fixed(channels)]))
    writer.builder.output("y", try body(&writer, x))
    return try writer.builder.finish()
  }

  private static let reflected = [pad(2, 1, .reflect), pad(1, 3, .reflect)]

  static let cases: [Case] = [
    moved("reflection", [reflected]),
    moved("reflection and padding", [reflected], padding: 1),
    moved("edges", [[pad(3, 0, .replicate), pad(0, 2, .replicate)]], stride: 2),
    moved("circle", [[pad(2, 2, .circular), pad(1, 1, .circular)]], dilation: 2),
    moved("zeros", [[pad(1, 2, .zeros), pad(-2, 1, .zeros)]]),
    moved("a slice", [[.slice(start: 1, count: 3, step: 2), .slice(start: 2, count: 6, step: 1)]]),
    moved("upsampling", [[twice(6), twice(9)]], padding: 1),
    moved(
      "upsampling, then reflection, then zeros",
      [
        [twice(6), twice(9)], reflected,
        [
          pad(0, 2, .zeros), .whole,
        ],
      ]),
    moved("upsampling and one tap", [[twice(6), twice(9)]], kernel: 1),
    moved("a stem", [reflected], inputs: 3, kernel: 5),
    moved(
      "an upsampled stem with zeros",
      [
        [twice(6), twice(9)],
        [
          pad(1, 1, .zeros), pad(2, 2, .zeros),
        ],
      ], inputs: 3, kernel: 5, padding: 2),
    moved("few outputs", [reflected], inputs: 32, outputs: 3),
    moved("groups", [reflected], inputs: 36, outputs: 24, groups: 3),
    // Those that stay steps of their own.
    moved("depthwise", [reflected], steps: 2, inputs: 20, outputs: 20, groups: 20),
    moved(
      "a small slice",
      [[.slice(start: 1, count: 2, step: 1), .slice(start: 2, count: 6, step: 1)]], steps: 2,
      kernel: 1),
    moved("other numbers than zero", [[pad(1, 1, .constant(2)), .whole]], steps: 2),
    moved("linear", [[twice(6, .linear), .whole], reflected], steps: 2),
    Case(name: "two that read it", steps: 3) {
      try graph(8) { writer, x in
        let y = try writer.moved(x, [reflected])
        writer.builder.output("a", try writer.convolved(y, 9, label: "a"))
        return try writer.convolved(y, 9, label: "b")
      }
    },
    Case(name: "an output between", steps: 2) {
      try graph(8) { writer, x in
        let y = try writer.moved(x, [reflected])
        writer.builder.output("between", y)
        return try writer.convolved(y, 9, label: "conv")
      }
    },
    Case(name: "a slice of a concatenation", steps: 3) {
      try graph(8) { writer, x in
        let a = try writer.convolved(x, 9, padding: 1, label: "a")
        let b = try writer.convolved(x, 7, padding: 1, label: "b")
        let c = try writer.convolved(writer.moved(a, [reflected]), 5, label: "c")
        writer.builder.output("joined", try writer.concatenation([a, b]))
        return c
      }
    },
    Case(name: "a sequence", steps: 1) {
      var writer = NetworkWriter(seed: 92)
      let x = writer.builder.input("x", ValueType([.batch, 11, 6]))
      let y = try writer.moved(x, [[pad(2, 1, .reflect)], [twice(14)]])
      let geometry = try ConvolutionGeometry(
        axes: [SpatialAxis(input: 28, window: 5, stride: 2, paddingBefore: 1)], inputChannels: 6,
        outputChannels: 20)
      writer.builder.output(
        "y",
        try writer.builder.append(
          .convolution(geometry, Epilogue()),
          [y, writer.builder.weight("weight", writer.numbers(geometry.weightShape))])[0])
      return try writer.builder.finish()
    },
  ]

  @Test(arguments: cases, [1, 2])
  func planEqualsInterpreter(_ test: Case, threads: Int) throws {
    let graph = try test.graph()
    let plans = try expectPlansEqualInterpreter(graph, seed: 93, threads: threads)
    #expect(plans.constant.stepCount == test.steps)
  }

  // MARK: Winograd's filtering

  /// A skip and what comes from below, upsampled: read in two parts, one of them moved.
  static func joined(isSeen: Bool, outputs: Int = 64) throws -> Graph {
    try graph(8, height: 40, width: 44) { writer, x in
      let skip = try writer.convolved(x, 32, padding: 1, label: "skip")
      let small = try writer.convolved(x, 48, stride: 2, padding: 1, label: "small")
      let joined = try writer.concatenation([writer.moved(small, [[twice(20), twice(22)]]), skip])
      let padded = try writer.moved(joined, [[pad(1, 1, .reflect), pad(1, 1, .reflect)]])
      if isSeen { writer.builder.output("between", padded) }
      return try writer.convolved(padded, outputs, label: "last")
    }
  }

  /// Of 128 outputs the weight stays taps, whose components are of 64 channels of both parts, then of 16.
  @Test(
    arguments: [1, 2, 3],
    [(1, 64, "winograd4x4"), (2, 64, "winograd4x4"), (1, 128, "compactWinograd4x4")])
  func partsOfWinograd(threads: Int, _ test: (batch: Int, outputs: Int, algorithm: String)) throws {
    var results: [TensorValue] = []
    for (isSeen, steps) in [(true, 6), (false, 3)] {
      let graph = try Self.joined(isSeen: isSeen, outputs: test.outputs)
      let inputs = try graph.randomInputs(seed: 94, batch: test.batch)
      let plan = try Plan(
        graph, inputShapes: inputs.mapValues(\.shape), options: PlanOptions(threads: threads))
      #expect(plan.stepCount == steps)
      #expect(plan.stepAlgorithm(steps - 1) == test.algorithm)
      results.append(try plan(inputs)["y"]!)
    }
    #expect(results[0].bits == results[1].bits)
  }

  /// Neither the padded image, nor the concatenation, nor the upsampled part is in memory.
  @Test func memoryOfParts() throws {
    let plan = try Plan(Self.joined(isSeen: false), inputShapes: ["x": [1, 40, 44, 8]])
    let floats = 40 * 44 * 32 + 20 * 22 * 48 + 40 * 44 * 64
    #expect(plan.arenaByteCount == 4 * floats)
  }

  /// A plan that shares weights takes algorithms that read the same parts, and results are those of a plan of its own.
  @Test func sharedPlans() throws {
    let graph = try Self.joined(isSeen: false)
    let first = try Plan(graph, inputShapes: ["x": [2, 40, 44, 8]])
    let second = try Plan(graph, inputShapes: ["x": [1, 40, 44, 8]], sharing: first)
    #expect(second.sharedWeightBytes(with: first) == first.weightByteCount)
    let inputs = try graph.randomInputs(seed: 95, batch: 1)
    let own = try Plan(graph, inputShapes: ["x": [1, 40, 44, 8]])
    expectSameBits(try second(inputs), try own(inputs), "shared")
  }

  /// Measured choices are of the algorithms that read through.
  @Test func measuredPlans() throws {
    let graph = try Self.joined(isSeen: false)
    let inputs = try graph.randomInputs(seed: 96, batch: 1)
    let plan = try Plan(
      graph, inputShapes: inputs.mapValues(\.shape),
      options: PlanOptions(threads: 1, choice: .measured(seconds: 60)))
    #expect(plan.stepAlgorithm(2)?.hasPrefix("winograd") == true)
    _ = try plan(inputs)
  }
}

extension NetworkWriter {
  /// Movements of spatial axes, one after the other.
  fileprivate mutating func moved(
    _ x: ValueID, _ movements: [[AxisMovement]]
  ) throws -> ValueID {
    var y = x
    for axes in movements {
      y = try builder.append(.movement(Movement([.whole] + axes + [.whole])), [y])[0]
    }
    return y
  }

  /// A convolution of images as large as the value's.
  fileprivate mutating func convolved(
    _ x: ValueID, _ outputs: Int, kernel: Int = 3, stride: Int = 1, dilation: Int = 1,
    padding: Int = 0, groups: Int = 1, label: String
  ) throws -> ValueID {
    let extents = builder.graph.type(of: x).extents.dropFirst().map { $0.fixedValue! }
    return try convolution(
      x,
      ConvolutionGeometry(
        inputHeight: extents[0], inputWidth: extents[1], inputChannels: extents[2],
        outputChannels: outputs, kernel: (kernel, kernel), stride: (stride, stride),
        padding: (padding, padding), dilation: (dilation, dilation), groups: groups),
      bias: true, label: label)
  }
}
