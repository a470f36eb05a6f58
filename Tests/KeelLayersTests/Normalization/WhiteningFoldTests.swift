import KeelExecution
import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Whitening by running statistics goes into its neighbours, or says why not.
@Suite struct WhiteningFoldTests {
  /// A network with a whitening in it, and the shape of its input.
  struct Network: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let model: any Layer
    let input: Shape
    /// Part of the report, where it does not fold.
    let reason: String?

    init(_ name: String, _ input: Shape, reason: String? = nil, _ layers: any Layer...) {
      testDescription = name
      let model = Sequential(layers)
      randomizeParameters(of: model, seed: 51)
      self.model = model
      self.input = input
      self.reason = reason
    }
  }

  static let whitenings: [(String, any Layer)] = [
    ("ZCA", DecorrelatedBatchNorm(6, blockSize: 3)),
    ("PCA, smaller block", DecorrelatedBatchNorm(6, blockSize: 4, method: .pca)),
    ("ZCA, average covariance", DecorrelatedBatchNorm(6, blockSize: 2, average: .covariance)),
    ("IterNorm, average covariance", IterNorm(6, average: .covariance, affine: false)),
    ("Cholesky", CholeskyWhitening(6, blockSize: 3)),
    ("Cholesky, average matrix", CholeskyWhitening(6, blockSize: 6, average: .matrix)),
  ]

  static let networks: [Network] = {
    var source = RandomSource(seed: 52)
    var networks: [Network] = []
    for (name, norm) in whitenings {
      networks += [
        Network(
          "\(name) after a convolution", [2, 5, 5, 4],
          Conv2d(4, 6, kernel: 3, padding: 1, using: &source), norm, ReLU()),
        Network(
          "\(name) after a convolution without bias", [2, 5, 5, 4],
          Conv2d(4, 6, kernel: 3, stride: 2, bias: false, using: &source), norm),
        Network("\(name) after a linear layer", [3, 4], Linear(4, 6, using: &source), norm),
        Network(
          "\(name) after a transposed convolution", [2, 3, 3, 4],
          ConvTranspose2d(4, 6, kernel: 3, stride: 2, padding: 1, using: &source), norm),
        Network(
          "\(name) before a convolution", [2, 5, 5, 6], ReLU(), norm,
          Conv2d(6, 4, kernel: 3, using: &source)),
        Network(
          "\(name) before a linear layer", [3, 6], ReLU(), norm,
          Linear(6, 4, bias: false, using: &source)),
        Network(
          "\(name) before padding", [2, 5, 5, 6],
          reason: "the zero padding after it is not whitened", ReLU(), norm,
          Conv2d(6, 4, kernel: 3, padding: 1, using: &source)),
        Network(
          "\(name) after a ReLU", [2, 5, 5, 4], reason: "nothing before it has weights",
          Conv2d(4, 6, kernel: 1, using: &source), ReLU(), norm, ReLU()),
      ]
    }
    let grouped = DecorrelatedBatchNorm(6, blockSize: 3)
    networks += [
      Network(
        "within groups", [2, 5, 5, 4], Conv2d(4, 6, kernel: 3, groups: 2, using: &source), grouped),
      Network(
        "within groups after it", [2, 5, 5, 6], ReLU(), grouped,
        Conv2d(6, 4, kernel: 3, groups: 2, using: &source)),
      Network(
        "over groups", [2, 5, 5, 6], reason: "its blocks reach over the groups",
        Conv2d(6, 6, kernel: 3, groups: 3, using: &source), grouped),
    ]
    return networks
  }()

  @Test(arguments: networks)
  func foldedEqualsUnfolded(_ network: Network) throws {
    let extents: [Extent] = network.input.extents.map { .fixed($0) }
    let graph = try Graph(tracing: Sequential([network.model]), input: extents, mode: .inference)
    let folded = try graph.foldedExactly()
    let maps = folded.graph.nodes.count { if case .blockMap = $0.primitive { true } else { false } }
    #expect(maps == (network.reason == nil ? 0 : 1), "\(folded.report)")
    if let reason = network.reason { #expect(folded.report.description.contains(reason)) }
    let x = try TensorValue.normal(network.input).floats(at: "x")
    let inputs = ["x": ReferenceValue.real(DoubleTensor(widening: x))]
    let expected = try ReferenceEvaluator(graph).run(inputs).outputs["y"]!
    let actual = try ReferenceEvaluator(folded.graph).run(inputs, weights: folded.weights)
    expectClose(actual.outputs["y"]!, expected, bound: 1e-11, "\(network), in Double")
    let plan = try Plan(folded.graph, inputShapes: ["x": network.input])
    expectClose(
      try plan(["x": .float32(x)])["y"]!.floats(at: "y"), expected, bound: 1e-5, "\(network)")
  }
}
