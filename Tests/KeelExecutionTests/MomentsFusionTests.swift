import KeelExecution
import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Statistics of batch norms that the convolutions before them gather.
@Suite struct MomentsFusionTests {
  private static func count(_ graph: Graph) -> (gathering: Int, given: Int, current: Int) {
    var counts = (gathering: 0, given: 0, current: 0)
    for node in graph.nodes {
      switch node.primitive {
      case .convolutionWithMoments: counts.gathering += 1
      case .normalization(let n) where n.statistics == .moments: counts.given += 1
      case .normalization(let n) where n.statistics == .current: counts.current += 1
      default: break
      }
    }
    return counts
  }

  private static func training() throws -> Graph {
    try PlanTests.residualNetwork(mode: .training, widths: [16, 32]).fused().graph.differentiated()
  }

  @Test func everyBatchNormBehindAConvolutionIsServed() throws {
    let before = try Self.training()
    let after = try before.gatheringMoments()
    let norms = Self.count(before).current
    #expect(norms > 0 && Self.count(before).gathering == 0)
    #expect(Self.count(after) == (gathering: norms, given: norms, current: 0))
    #expect(after.outputs.map(\.name) == before.outputs.map(\.name))
    #expect(after.updates.map(\.weight) == before.updates.map(\.weight))
  }

  @Test(arguments: [1, 2])
  func lossGradientsAndRunningStatisticsStay(threads: Int) throws {
    let before = try Self.training()
    let inputs = try before.randomInputs(seed: 3, batch: 24, classes: 6)
    let options = PlanOptions(threads: threads, weights: .variable)
    func run(_ graph: Graph) throws -> [String: TensorValue] {
      try Plan(graph, inputShapes: inputs.mapValues(\.shape), options: options)(inputs)
    }
    let expected = try run(before)
    let actual = try run(before.gatheringMoments())
    #expect(Set(actual.keys) == Set(expected.keys))
    for (name, value) in expected {
      let (one, other) = (try value.floats(at: name), try actual[name]!.floats(at: name))
      let largest = one.elements.map(abs).max() ?? 0
      for (a, b) in zip(one.elements, other.elements) {
        #expect(abs(a - b) <= 2e-4 * largest, "\(name)")
      }
    }
  }

  /// Two convolutions and norms: a depthwise one, and one whose results are single values per channel.
  @Test func othersAreLeftAlone() throws {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([2, 4, 4, 8]))
    let geometry = try ConvolutionGeometry(
      inputHeight: 4, inputWidth: 4, inputChannels: 8, outputChannels: 8, kernel: (3, 3),
      padding: (1, 1), groups: 8)
    let weight = builder.input("weight", ValueType(shape: geometry.weightShape))
    let y = try builder.append(
      .convolution(geometry, Epilogue()), [x, weight], label: "depthwise")[0]
    let norm = try Normalization(statistics: .current, recovery: .none)
    builder.output("y", try builder.append(.normalization(norm), [y], label: "norm")[0])
    let open = try ConvolutionGeometry(
      inputHeight: 3, inputWidth: 3, inputChannels: 2, outputChannels: 4, kernel: (3, 3))
    let z = builder.input("z", ValueType([.batch, .fixed(3), .fixed(3), .fixed(2)]))
    let kernel = builder.input("kernel", ValueType(shape: open.weightShape))
    let point = try builder.append(.convolution(open, Epilogue()), [z, kernel], label: "point")[0]
    builder.output("point", try builder.append(.normalization(norm), [point], label: "few")[0])
    let graph = try builder.finish()
    #expect(Self.count(try graph.gatheringMoments()) == (gathering: 0, given: 0, current: 2))
    let error = #expect(throws: KeelError.self) {
      try Plan(
        graph,
        inputShapes: [
          "x": [2, 4, 4, 8], "weight": geometry.weightShape, "z": [1, 3, 3, 2],
          "kernel": open.weightShape,
        ])
    }
    #expect(error?.place == "few")
  }

  /// A channel of mean 10⁴ and deviation 0.1, and one that is constant.
  @Test func farFromZero() throws {
    let geometry = try ConvolutionGeometry(
      inputHeight: 40, inputWidth: 40, inputChannels: 2, outputChannels: 2, kernel: (1, 1))
    var random = RandomSource(seed: 5)
    let x = try Tensor(
      (0..<3 * 1600).flatMap { _ in [10_000 + Float.random(in: -0.17...0.17, using: &random), 7] },
      shape: [3, 40, 40, 2])
    var builder = GraphBuilder()
    let input = builder.input("x", ValueType(shape: x.shape))
    let weight = builder.input("weight", ValueType(shape: geometry.weightShape))
    let results = try builder.append(
      .convolutionWithMoments(geometry, Epilogue()), [input, weight], label: "identity")
    builder.output("moments", results[1])
    let graph = try builder.finish()
    let inputs: [String: TensorValue] = [
      "x": .float32(x), "weight": .float32(try Tensor([1, 0, 0, 1], shape: geometry.weightShape)),
    ]
    let table = try Plan(graph, inputShapes: inputs.mapValues(\.shape))(inputs)["moments"]!
      .floats(at: "moments")
    let values = stride(from: 0, to: x.elements.count, by: 2).map { Double(x.elements[$0]) }
    let mean = values.reduce(0, +) / Double(values.count)
    let deviations = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    #expect(abs(Double(table[1, 0]) + Double(table[2, 0]) - mean) <= 1e-4)
    #expect(abs(Double(table[3, 0]) - deviations) <= 1e-5 * deviations)
    #expect(table[1, 1] == 7 && table[2, 1] == 0 && table[3, 1] == 0 && table[0, 1] == 4800)
  }
}
