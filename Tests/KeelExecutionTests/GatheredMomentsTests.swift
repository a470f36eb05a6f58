import KeelExecution
import KeelGraph
import KeelKernels
import KeelTensor
import KeelTestSupport
import Testing

/// Class reference: the moments that a convolution gathers from its tiles are those of its result, in Double.
@Suite struct GatheredMomentsTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let algorithm: ConvolutionAlgorithm
    let partition: Partition
    var height = 34
    var width = 38
    var inputs = 48
    var outputs = 72
    var kernel = 3
    var stride = 1
    var activation: Activation? = nil
    var batch = 3
    /// Whether the weight is zero, and the result its bias, of which a dozen are more than a Float holds.
    var isConstant = false
    /// Whether a norm of the result takes the moments that the convolution gathers.
    var isGathered = true
    var testDescription: String { "\(name), \(partition)" }
  }

  static let cases: [Case] = [
    Case(name: "tiles of 4×4", algorithm: .winograd4x4, partition: .instance),
    Case(name: "tiles of 4×4", algorithm: .winograd4x4, partition: .group(4)),
    Case(name: "tiles of 4×4", algorithm: .winograd4x4, partition: .layer),
    Case(name: "tiles of 4×4", algorithm: .winograd4x4, partition: .batch),
    Case(
      name: "odd extents", algorithm: .winograd4x4, partition: .instance, height: 37, width: 35,
      activation: .silu),
    Case(
      name: "compact weights", algorithm: .compactWinograd4x4, partition: .instance, height: 21,
      width: 18, inputs: 128, outputs: 200, activation: .relu),
    Case(
      name: "a tile for each image", algorithm: .compactWinograd4x4, partition: .group(5),
      height: 4, width: 3, inputs: 256, outputs: 200, batch: 21),
    Case(
      name: "units of 8 tiles and 1", algorithm: .compactWinograd4x4, partition: .instance,
      height: 12, width: 9, inputs: 256, outputs: 200, batch: 5),
    Case(
      name: "a stem", algorithm: .indirect, partition: .instance, inputs: 3, outputs: 40,
      kernel: 7, stride: 2),
    Case(
      name: "strides", algorithm: .indirect, partition: .group(2), height: 33, width: 35,
      stride: 2, activation: .relu),
    Case(
      name: "few outputs", algorithm: .indirect, partition: .layer, inputs: 32, outputs: 3,
      kernel: 5),
    Case(
      name: "pixels", algorithm: .indirect, partition: .batch, outputs: 100, kernel: 1),
    Case(
      name: "other cells", algorithm: .winograd4x4,
      partition: Partition(rows: .axes([0, 1]), channels: .each), isGathered: false),
  ]

  static func graph(_ test: Case, norms: Bool) throws -> Graph {
    var writer = NetworkWriter(seed: 31)
    let x = writer.builder.input(
      "x", ValueType([.batch, .fixed(test.height), .fixed(test.width), .fixed(test.inputs)]))
    let geometry = try ConvolutionGeometry(
      inputHeight: test.height, inputWidth: test.width, inputChannels: test.inputs,
      outputChannels: test.outputs, kernel: (test.kernel, test.kernel),
      stride: (test.stride, test.stride), padding: (test.kernel / 2, test.kernel / 2))
    let isConstant = test.isConstant
    let weight = writer.builder.weight(
      "w", isConstant ? Tensor(zeros: geometry.weightShape) : writer.numbers(geometry.weightShape))
    let bias = writer.builder.weight(
      "b",
      isConstant ? Tensor(repeating: 3e37, shape: [test.outputs]) : writer.numbers([test.outputs]))
    let y = try writer.builder.append(
      .convolution(geometry, Epilogue(hasBias: true, activation: test.activation)),
      [x, weight, bias])[0]
    if norms {
      let normalization = try Normalization(
        partition: test.partition, statistics: .current, recovery: .none)
      let normed = try writer.builder.append(.normalization(normalization), [y])
      writer.builder.output("y", normed[0])
      writer.builder.output("moments", normed[1])
    } else {
      writer.builder.output("y", y)
    }
    return try writer.builder.finish()
  }

  private func run(_ graph: Graph, _ x: Tensor, threads: Int) throws -> (
    Plan, [String: TensorValue]
  ) {
    let plan = try Plan(graph, inputShapes: ["x": x.shape], options: PlanOptions(threads: threads))
    return (plan, try plan(["x": .float32(x)]))
  }

  @Test(arguments: cases) func momentsOfTheResult(_ test: Case) throws {
    var source = TensorSource(seed: 32)
    let x = source.normal([test.batch, test.height, test.width, test.inputs], mean: 0.5)
    let plain = try run(try Self.graph(test, norms: false), x, threads: 1).1["y"]!
    let y = try plain.floats(at: "y")
    let graph = try Self.graph(test, norms: true)
    let (plan, found) = try run(graph, x, threads: 1)
    #expect(plan.stepAlgorithm(0) == test.algorithm.rawValue)
    guard case .normalization(let norm) = plan.stepNode(1).primitive else {
      Issue.record("expected a normalization, found \(plan.stepName(1))")
      return
    }
    #expect(norm.statistics == (test.isGathered ? .moments : .current))
    for threads in [2, 3] {
      let other = try run(graph, x, threads: threads).1
      expectSameBits(other, found, "\(threads) threads")
    }
    // The reference's norm of the same result, and the moments that it takes.
    let expected = try evaluate(
      .normalization(
        Normalization(partition: test.partition, statistics: .current, recovery: .none)),
      [DoubleTensor(widening: y)])
    let cells = expected[1].shape.elementCount / MomentsLayout.rows
    let bound = Tolerance.normalization(rows: y.shape.elementCount / cells)
    expectClose(try found["y"]!.floats(at: "y"), expected[0], bound: bound, "y")
    let table = try found["moments"]!.floats(at: "moments")
    for row in [MomentsLayout.count, MomentsLayout.mean, MomentsLayout.squaredDeviations] {
      let of = row * cells..<(row + 1) * cells
      let wanted = of.map { expected[1].elements[$0] }
      expectClose(
        of.map { Double(table[flat: $0]) }, wanted, within: bound * wanted.map(abs).max()!,
        "row \(row)")
    }
  }

  /// Pixels that are all alike deviate by exactly 0, whatever they are.
  @Test(arguments: [ConvolutionAlgorithm.winograd4x4, .indirect])
  func constants(_ algorithm: ConvolutionAlgorithm) throws {
    let test = Case(
      name: "constants", algorithm: algorithm, partition: .instance,
      kernel: algorithm == .indirect ? 5 : 3, isConstant: true)
    let x = Tensor(repeating: 1, shape: [test.batch, test.height, test.width, test.inputs])
    let (plan, found) = try run(try Self.graph(test, norms: true), x, threads: 2)
    #expect(plan.stepAlgorithm(0) == algorithm.rawValue)
    let table = try found["moments"]!.floats(at: "moments")
    let cells = test.batch * test.outputs
    let deviations = (0..<cells).map { table[flat: MomentsLayout.squaredDeviations * cells + $0] }
    #expect(deviations.allSatisfy { $0 == 0 })
    #expect((0..<cells).allSatisfy { table[flat: MomentsLayout.mean * cells + $0] == 3e37 })
  }
}
