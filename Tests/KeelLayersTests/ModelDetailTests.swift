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
    // Maps that are not 7×7 are pooled, larger and smaller ones.
    for (height, width, pools) in [(224, 255, false), (32, 300, true), (96, 224, true)] {
      let graph = try Graph(
        tracing: net, input: [.batch, .fixed(height), .fixed(width), 3])
      #expect(graph.type(of: graph.outputs[0].value) == ValueType([.batch, 10]))
      let poolings = operations(graph).filter { $0.contains("pooling") }
      #expect(poolings.count == (pools ? 6 : 5), "\(height)×\(width): \(poolings)")
    }
    #expect(failure(net, [.batch, 31, 32, 3])?.kind == .shape)
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

  /// The size of a valid U-Net's output: 572 becomes 388, and sides that do not divide lose more.
  @Test(arguments: [(572, 388), (188, 4), (190, 4), (204, 20)])
  func validSizes(_ input: Int, _ output: Int) throws {
    var source = RandomSource(seed: 3)
    let net = UNet(width: 2, using: &source)
    #expect(
      try resultType(net, [.batch, .fixed(input), .fixed(input), 1])
        == ValueType([.batch, .fixed(output), .fixed(output), 2]))
  }

  @Test func uNetPaths() throws {
    var source = RandomSource(seed: 3)
    let paths = UNet(width: 2, levels: 1, batchNorm: true, using: &source).parameters.map(\.path)
      .filter { $0.hasSuffix("weight") || $0.hasSuffix("bias") || $0.hasSuffix("scale") }
    #expect(
      paths == [
        "encoder.0.conv1.weight", "encoder.0.bn1.scale", "encoder.0.conv2.weight",
        "encoder.0.bn2.scale", "encoder.1.conv1.weight", "encoder.1.bn1.scale",
        "encoder.1.conv2.weight", "encoder.1.bn2.scale", "decoder.0.up.weight",
        "decoder.0.up.bias", "decoder.0.convolutions.conv1.weight",
        "decoder.0.convolutions.bn1.scale", "decoder.0.convolutions.conv2.weight",
        "decoder.0.convolutions.bn2.scale", "head.weight", "head.bias",
      ])
  }

  struct Wrong: Sendable {
    let message: String
    let input: [Extent]
    let make: @Sendable (inout RandomSource) -> any Layer

    init(
      _ message: String, _ input: [Extent],
      _ make: @escaping @Sendable (inout RandomSource) -> any Layer
    ) {
      self.message = message
      self.input = input
      self.make = make
    }
  }

  static let wrong = [
    Wrong(
      "expected 6n + 2 with n at least 1, found 18", [.batch, 32, 32, 3],
      { CIFARResNet(depth: 18, using: &$0) }
    ),
    Wrong(
      "expected 6n + 2 with n at least 1, found 2", [.batch, 32, 32, 3],
      { CIFARResNet(depth: 2, using: &$0) }
    ),
    Wrong(
      "at fc1: expected input features at least 1, found 0", [.batch, 4, 4, 1],
      { LeNet(imageSize: 3, using: &$0) }
    ),
    Wrong(
      "at fc1: expected input features at least 1, found 0", [.batch, 28, 28, 1],
      { LeNet(imageSize: -8, using: &$0) }
    ),
    Wrong("at fc1", [.batch, 28, 28, 1], { LeNet(imageSize: PerAxis(Int.max), using: &$0) }),
    Wrong(
      "at fc1", [.batch, 28, 28, 1], { BatchNormNet(imageSize: PerAxis(Int.min), using: &$0) }),
    Wrong(
      "at fc1", [.batch, 32, 32, 3], { PlainCIFARNet(imageSize: PerAxis(Int.min), using: &$0) }),
    Wrong("at fc1", [.batch, 32, 32, 1], { LeNet(using: &$0) }),
    Wrong(
      "at fc2: expected output features at least 1, found 0", [.batch, 28, 28, 1],
      { LeNet(classes: 0, using: &$0) }
    ),
    Wrong(
      "at conv1: expected input channels at least 1, found -1", [.batch, 28, 28, 1],
      { BatchNormNet(inputChannels: -1, using: &$0) }
    ),
    Wrong("at features.0.0", [.batch, 32, 32, 1], { MobileNetV2(using: &$0) }),
    Wrong(
      "at classifier.1: expected output features at least 1, found -2", [.batch, 32, 32, 3],
      { MobileNetV2(classes: -2, using: &$0) }
    ),
    Wrong(
      "at UNet: expected levels from 1 to 16, found 0", [.batch, 64, 64, 1],
      { UNet(levels: 0, using: &$0) }
    ),
    Wrong(
      "at UNet: expected width from 1 to 65536, found -4", [.batch, 64, 64, 1],
      { UNet(width: -4, using: &$0) }
    ),
    Wrong("at encoder.", [.batch, 64, 64, 1], { UNet(using: &$0) }),
    Wrong(
      "at DenseNet: expected blocks from 1 to 100,000, found 0", [.batch, 64, 64, 3],
      { DenseNet(blocks: [], using: &$0) }
    ),
    Wrong(
      "at DenseNet: expected layers of a block from 1 to 100,000, found 0", [.batch, 64, 64, 3],
      { DenseNet(blocks: [2, 0], using: &$0) }
    ),
    Wrong(
      "at DenseNet: expected growth from 1 to 100,000, found 0", [.batch, 64, 64, 3],
      { DenseNet(growth: 0, using: &$0) }
    ),
    Wrong(
      "expected at least the input's 4 channels, found 3", [.batch, 8, 8, 4],
      { _ in PaddedShortcut(3, stride: 2) }
    ),
    Wrong(
      "at conv.0.0: expected output channels at least 1, found 0", [.batch, 8, 8, 4],
      { InvertedResidual(4, 4, stride: 1, expansion: 0, using: &$0) }
    ),
    Wrong(
      "at conv.0.0", [.batch, 8, 8, 4],
      { InvertedResidual(4, 4, stride: 1, expansion: Int.max, using: &$0) }
    ),
  ]

  @Test(arguments: wrong.indices)
  func wrongSizes(_ index: Int) throws {
    let row = Self.wrong[index]
    var source = RandomSource(seed: 1)
    let found = failure(row.make(&source), row.input)
    let text: String = try #require(found).description
    #expect(text.contains(row.message))
  }
}
