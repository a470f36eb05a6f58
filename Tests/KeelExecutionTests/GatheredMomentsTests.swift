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

  private static let batch = 3

  static func graph(_ test: Case, norms: Bool) throws -> Graph {
    var writer = NetworkWriter(seed: 31)
    let x = writer.builder.input(
      "x", ValueType([.batch, .fixed(test.height), .fixed(test.width), .fixed(test.inputs)]))
    let geometry = try ConvolutionGeometry(
      inputHeight: test.height, inputWidth: test.width, inputChannels: test.inputs,
      outputChannels: test.outputs, kernel: (test.kernel, test.kernel),
      stride: (test.stride, test.stride), padding: (test.kernel / 2, test.kernel / 2))
    let weight = writer.builder.weight("w", writer.numbers(geometry.weightShape))
    let bias = writer.builder.weight("b", writer.numbers([test.outputs]))
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
    let x = source.normal([Self.batch, test.height, test.width, test.inputs], mean: 0.5)
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
}
