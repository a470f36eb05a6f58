import KeelExecution
import KeelGraph
import KeelKernels
import KeelTensor
import KeelTestSupport
import Testing

/// Class identity: a convolution that takes maxima of its result along gives the bits of the two operations.
@Suite struct PooledConvolutionTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    /// The steps of a plan.
    let steps: Int
    var height = 32
    var width = 36
    var activation: Activation? = .relu
    var window = 2
    var stride = 2
    var padding = 0
    var kind = PoolingGeometry.Kind.maximum
    /// Whether the convolution's result is seen too.
    var isSeen = false
    /// Whether the pooled result is a slice of a concatenation.
    var isSlice = false
    var inputs = 48
    /// Whether the convolution adds what another one of its input makes.
    var addsResidual = false
    var algorithm = ConvolutionAlgorithm.winograd4x4
    var testDescription: String { name }
  }

  static let cases: [Case] = [
    Case(name: "pooled alone", steps: 1),
    Case(name: "odd extents", steps: 1, height: 35, width: 33),
    Case(name: "no activation", steps: 1, activation: nil),
    Case(name: "clipped", steps: 1, activation: .clip(low: -0.25, high: 0.5)),
    Case(name: "seen and pooled", steps: 1, isSeen: true),
    Case(name: "a slice", steps: 2, height: 37, isSlice: true),
    Case(name: "a residual", steps: 2, height: 35, width: 33, addsResidual: true),
    Case(
      name: "compact weights", steps: 1, height: 19, width: 18, inputs: 128,
      algorithm: .compactWinograd4x4),
    // Those that stay steps of their own.
    Case(name: "another activation", steps: 2, activation: .silu),
    Case(name: "windows that overlap", steps: 2, window: 3),
    Case(name: "padding", steps: 2, padding: 1),
    Case(name: "means", steps: 2, kind: .average(countsPadding: true)),
  ]

  /// A convolution by Winograd's filtering, pooled or not.
  static func graph(_ test: Case, pools: Bool) throws -> Graph {
    var writer = NetworkWriter(seed: 61)
    let x = writer.builder.input(
      "x", ValueType([.batch, .fixed(test.height), .fixed(test.width), .fixed(test.inputs)]))
    let geometry = try ConvolutionGeometry(
      inputHeight: test.height, inputWidth: test.width, inputChannels: test.inputs,
      outputChannels: 70, kernel: (3, 3), padding: (1, 1))
    var operands = [
      x, writer.builder.weight("w", writer.numbers(geometry.weightShape)),
      writer.builder.weight("b", writer.numbers([70])),
    ]
    if test.addsResidual {
      operands.append(
        try writer.convolution(
          x,
          ConvolutionGeometry(
            inputHeight: test.height, inputWidth: test.width, inputChannels: test.inputs,
            outputChannels: 70, kernel: (1, 1)), label: "residual"))
    }
    let epilogue = Epilogue(
      hasBias: true, hasResidual: test.addsResidual, activation: test.activation)
    let y = try writer.builder.append(.convolution(geometry, epilogue), operands)[0]
    guard pools else {
      writer.builder.output("y", y)
      return try writer.builder.finish()
    }
    if test.isSeen { writer.builder.output("seen", y) }
    var pooled = try pool(test, y, in: &writer)
    if test.isSlice {
      let other = try writer.convolution(
        x,
        ConvolutionGeometry(
          inputHeight: test.height, inputWidth: test.width, inputChannels: test.inputs,
          outputChannels: 5, kernel: (2, 2), stride: (2, 2)), label: "other")
      pooled = try writer.concatenation([other, pooled])
    }
    writer.builder.output("y", pooled)
    return try writer.builder.finish()
  }

  private static func pool(
    _ test: Case, _ x: ValueID, in writer: inout NetworkWriter
  ) throws -> ValueID {
    let geometry = try PoolingGeometry(
      test.kind, inputHeight: test.height, inputWidth: test.width, channels: 70,
      window: (test.window, test.window), stride: (test.stride, test.stride),
      padding: (test.padding, test.padding))
    return try writer.builder.append(.pooling(geometry), [x], label: "pool")[0]
  }

  /// The pooling alone.
  private static func pooling(_ test: Case) throws -> Graph {
    var writer = NetworkWriter(seed: 62)
    let x = writer.builder.input(
      "x", ValueType([.batch, .fixed(test.height), .fixed(test.width), 70]))
    writer.builder.output("y", try pool(test, x, in: &writer))
    return try writer.builder.finish()
  }

  @Test(arguments: cases, [1, 2])
  func planEqualsTwoOperations(_ test: Case, threads: Int) throws {
    var x = Tensor(zeros: [2, test.height, test.width, test.inputs])
    var source = TensorSource(seed: 63)
    let numbers = source.normal(x.shape)
    x.withMutableSpan { for i in 0..<$0.count { $0[i] = numbers.elements[i] } }
    x.withMutableSpan {
      $0[test.inputs * 70] = .nan
      $0[test.inputs * 300 + 9] = .infinity
    }
    func run(_ graph: Graph, _ x: Tensor) throws -> (Plan, [String: TensorValue]) {
      let plan = try Plan(
        graph, inputShapes: ["x": x.shape], options: PlanOptions(threads: threads))
      return (plan, try plan(["x": .float32(x)]))
    }
    let (_, plain) = try run(try Self.graph(test, pools: false), x)
    let unpooled = try plain["y"]!.floats(at: "y")
    let expected = try Interpreter(try Self.pooling(test)).run(["x": .float32(unpooled)]).outputs
    let (plan, found) = try run(try Self.graph(test, pools: true), x)
    #expect((0..<plan.stepCount).contains { plan.stepAlgorithm($0) == test.algorithm.rawValue })
    #expect(plan.stepCount == test.steps)
    if test.isSeen { #expect(found["seen"]!.bits == plain["y"]!.bits) }
    guard !test.isSlice else {
      let (all, some) = (try found["y"]!.floats(at: "y"), try expected["y"]!.floats(at: "y"))
      let slice = (0..<some.shape.rowCount).flatMap { row in
        (0..<70).map { all[flat: row * 75 + 5 + $0].bitPattern }
      }
      #expect(slice == some.elements.map(\.bitPattern))
      return
    }
    #expect(found["y"]!.bits == expected["y"]!.bits)
  }
}
