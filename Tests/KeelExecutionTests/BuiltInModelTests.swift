import KeelExecution
import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import Testing

/// The built-in networks on small images: folded plans against the Double reference, and one step of
/// training.
@Suite(.serialized) struct BuiltInModelTests {
  struct Case: Sendable {
    let name: String
    let input: [Int]
    let make: @Sendable (inout RandomSource) -> any Layer
  }

  static let cases = [
    Case(name: "LeNet", input: [2, 28, 28, 1]) { LeNet(using: &$0) },
    Case(name: "LeNet, other sizes", input: [1, 9, 14, 2]) {
      LeNet(classes: 3, inputChannels: 2, imageSize: PerAxis(height: 9, width: 14), using: &$0)
    },
    Case(name: "BatchNormNet", input: [2, 10, 12, 1]) {
      BatchNormNet(classes: 4, imageSize: PerAxis(height: 10, width: 12), using: &$0)
    },
    Case(name: "PlainCIFARNet", input: [2, 20, 16, 3]) {
      PlainCIFARNet(imageSize: PerAxis(height: 20, width: 16), using: &$0)
    },
    Case(name: "CIFARResNet", input: [2, 12, 12, 3]) { CIFARResNet(depth: 14, using: &$0) },
    Case(name: "ResNet18", input: [2, 32, 48, 3]) { ResNet18(classes: 5, using: &$0) },
    Case(name: "ResNet50", input: [1, 40, 32, 3]) { ResNet50(classes: 5, using: &$0) },
    Case(name: "DenseNet", input: [1, 33, 40, 3]) {
      DenseNet(classes: 3, growth: 8, blocks: [2, 3, 2], stemWidth: 12, using: &$0)
    },
    Case(name: "MobileNetV2", input: [2, 33, 32, 3]) { MobileNetV2(classes: 5, using: &$0) },
  ]

  private func extents(_ input: [Int]) -> [Extent] {
    [.batch] + input.dropFirst().map(Extent.fixed)
  }

  @Test(arguments: cases.indices)
  func foldedPlanEqualsReference(_ index: Int) throws {
    let row = Self.cases[index]
    var source = RandomSource(seed: 31)
    let graph = try Graph(tracing: row.make(&source), input: extents(row.input))
    let x = Tensor(normal: Shape(row.input), using: &source)
    let expected = try #require(
      try ReferenceEvaluator(graph).run(["x": .real(DoubleTensor(widening: x))]).outputs["y"])
    let (folded, _) = try graph.folded()
    let plan = try Plan(folded, inputShapes: ["x": x.shape])
    let actual = try #require(try plan(["x": .float32(x)])["y"]).floats(at: "y")
    #expect(actual.shape == expected.shape)
    let largest = expected.elements.reduce(0) { max($0, abs($1)) }
    #expect(largest > 0)
    for (a, b) in zip(expected.elements, actual.elements) {
      #expect(abs(a - Double(b)) <= 1e-5 * largest, "\(row.name)")
    }
  }

  /// The loss and every gradient are finite, and all but those of dead units are not all zero.
  @Test(arguments: cases.indices)
  func trainingStep(_ index: Int) throws {
    let row = Self.cases[index]
    var source = RandomSource(seed: 32)
    // Two images at least: a batch norm of vectors needs more than one.
    let input = [max(row.input[0], 2)] + row.input.dropFirst()
    let graph = try trainingGraph(row.make(&source), extents(input)).differentiated()
    let x = Tensor(normal: Shape(input), using: &source)
    let labels = try IndexTensor((0..<input[0]).map { Int64($0 % 3) }, shape: [input[0]])
    var inputs: [String: TensorValue] = ["x": .float32(x), "labels": .int64(labels)]
    for name in graph.seedNames { inputs[name] = .int64(try IndexTensor([7], shape: [])) }
    let plan = try Plan(
      graph, inputShapes: inputs.mapValues(\.shape), options: PlanOptions(weights: .variable))
    let results = try plan(inputs)
    for (name, value) in results {
      let elements = try value.floats(at: name).elements
      #expect(elements.allSatisfy { $0.isFinite }, "\(row.name) \(name)")
      if name.hasPrefix("gradient/"), name.hasSuffix("weight") {
        #expect(elements.contains { $0 != 0 }, "\(row.name) \(name)")
      }
    }
  }

  /// Segmentation: valid and padded, with sides that poolings do not divide.
  @Test(arguments: [(46, false, false, 4), (21, true, true, 20), (24, true, false, 24)])
  func uNet(_ side: Int, _ padded: Bool, _ batchNorm: Bool, _ output: Int) throws {
    var source = RandomSource(seed: 33)
    let net = UNet(
      classes: 3, inputChannels: 2, width: 4, levels: 2, padded: padded, batchNorm: batchNorm,
      using: &source)
    let graph = try Graph(
      tracing: net, input: [.batch, .fixed(side), .fixed(side), 2])
    let x = Tensor(normal: [2, side, side, 2], using: &source)
    let expected = try #require(
      try ReferenceEvaluator(graph).run(["x": .real(DoubleTensor(widening: x))]).outputs["y"])
    #expect(expected.shape == [2, output, output, 3])
    let plan = try Plan(graph.folded().0, inputShapes: ["x": x.shape])
    let actual = try #require(try plan(["x": .float32(x)])["y"]).floats(at: "y")
    let largest = expected.elements.reduce(0) { max($0, abs($1)) }
    for (a, b) in zip(expected.elements, actual.elements) {
      #expect(abs(a - Double(b)) <= 1e-5 * largest)
    }
  }

  private func trainingGraph(_ model: some Layer, _ input: [Extent]) throws -> Graph {
    try Graph.trainingGraph(of: model, input: input)
  }
}
