import KeelGraph
import KeelLayers
import KeelTensor
import Testing

/// What the built-in networks start from, and what they refuse.
@Suite(.serialized) struct ModelDetailTests {
  /// The deviation of a parameter, and whether it is all zeros.
  private func deviation(_ model: some Layer, _ path: String) throws -> Double {
    let parameter = try #require(model.parameters.first { $0.path == path }, "\(path)").parameter
    let values = parameter.value.elements.map(Double.init)
    let mean = values.reduce(0, +) / Double(values.count)
    return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot()
  }

  private func zeros(_ model: some Layer, _ paths: [String]) throws {
    for path in paths {
      let parameter = try #require(model.parameters.first { $0.path == path }, "\(path)").parameter
      #expect(parameter.value.elements.allSatisfy { $0 == 0 }, "\(path)")
    }
  }

  @Test func mobileNetStartsAsTorchvisions() throws {
    var source = RandomSource(seed: 3)
    let net = MobileNetV2(using: &source)
    for (path, fan) in [
      ("features.0.0.weight", 32 * 9), ("features.17.conv.1.0.weight", 960 * 9),
      ("features.18.0.weight", 1280),
    ] {
      let expected = (2 / Double(fan)).squareRoot()
      #expect(abs(try deviation(net, path) / expected - 1) <= 0.1, "\(path)")
    }
    #expect(abs(try deviation(net, "classifier.1.weight") / 0.01 - 1) <= 0.02)
    try zeros(net, ["classifier.1.bias"])
  }

  @Test func vggStartsAsTorchvisions() throws {
    var source = RandomSource(seed: 3)
    let net = VGG11(classes: 10, using: &source)
    #expect(
      abs(try deviation(net, "features.18.weight") / (2.0 / (512 * 9)).squareRoot() - 1) <= 0.02)
    let linear = try #require(net.parameters.first { $0.path == "classifier.6.weight" })
    #expect(linear.parameter.shape == [10, 4096])
    #expect(abs(try deviation(net, "classifier.6.weight") / 0.01 - 1) <= 0.02)
    try zeros(net, ["features.0.bias", "classifier.0.bias", "classifier.6.bias"])
  }

  @Test func featuresWithoutClassifier() throws {
    var source = RandomSource(seed: 3)
    #expect(
      try resultType(MobileNetV2(classes: nil, using: &source), [.batch, 32, 32, 3])
        == ValueType([.batch, 1280]))
    #expect(
      try resultType(CIFARResNet(classes: nil, using: &source), [.batch, 32, 32, 3])
        == ValueType([.batch, 64]))
  }

  /// 6n + 2 layers: a stem, 6n convolutions in blocks, a classifier.
  @Test(arguments: [8, 20, 32]) func depths(_ depth: Int) throws {
    var source = RandomSource(seed: 3)
    let net = CIFARResNet(depth: depth, using: &source)
    let graph = try Graph(tracing: net, input: [.batch, 32, 32, 3])
    let threes = convolutions(graph).filter { $0.height.window == 3 }
    #expect(threes.count == depth - 1)
    #expect(Set(threes.map(\.height.output)) == [32, 16, 8])
  }

  static let wrong:
    [(message: String, input: [Extent], make: @Sendable (inout RandomSource) -> any Layer)] = [
      (
        "expected 6n + 2 with n at least 1, found 18", [.batch, 32, 32, 3],
        { CIFARResNet(depth: 18, using: &$0) }
      ),
      (
        "expected 6n + 2 with n at least 1, found 2", [.batch, 32, 32, 3],
        { CIFARResNet(depth: 2, using: &$0) }
      ),
      (
        "at fc1: expected input features at least 1, found 0", [.batch, 4, 4, 1],
        { LeNet(imageSize: 3, using: &$0) }
      ),
      (
        "at fc1: expected input features at least 1, found 0", [.batch, 28, 28, 1],
        { LeNet(imageSize: -8, using: &$0) }
      ),
      ("at fc1", [.batch, 28, 28, 1], { LeNet(imageSize: .init(Int.max), using: &$0) }),
      ("at fc1", [.batch, 28, 28, 1], { BatchNormNet(imageSize: .init(Int.min), using: &$0) }),
      ("at fc1", [.batch, 32, 32, 3], { PlainCIFARNet(imageSize: .init(Int.min), using: &$0) }),
      ("at fc1", [.batch, 32, 32, 1], { LeNet(using: &$0) }),
      (
        "at fc2: expected output features at least 1, found 0", [.batch, 28, 28, 1],
        { LeNet(classes: 0, using: &$0) }
      ),
      (
        "at conv1: expected input channels at least 1, found -1", [.batch, 28, 28, 1],
        { BatchNormNet(inputChannels: -1, using: &$0) }
      ),
      ("at features.0.0", [.batch, 32, 32, 1], { MobileNetV2(using: &$0) }),
      (
        "at classifier.1: expected output features at least 1, found -2", [.batch, 32, 32, 3],
        { MobileNetV2(classes: -2, using: &$0) }
      ),
      (
        "at conv.0.0: expected output channels at least 1, found 0", [.batch, 8, 8, 4],
        { InvertedResidual(4, 4, stride: 1, expansion: 0, using: &$0) }
      ),
      (
        "at conv.0.0", [.batch, 8, 8, 4],
        { InvertedResidual(4, 4, stride: 1, expansion: Int.max, using: &$0) }
      ),
    ]

  @Test(arguments: wrong.indices)
  func wrongSizes(_ index: Int) throws {
    let (message, input, make) = Self.wrong[index]
    var source = RandomSource(seed: 1)
    let error = try #require(failure(make(&source), input), "\(message)")
    #expect(error.description.contains(message), "\(error)")
  }
}
