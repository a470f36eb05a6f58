import KeelGraph
import KeelLayers
import KeelTensor
import Testing

@Suite struct BlockTests {
  @Test func basicBlockLabelsAndOrder() throws {
    var source = RandomSource(seed: 1)
    let block = BasicBlock(4, 8, stride: 2, using: &source)
    let graph = try Graph(tracing: block, input: [.batch, 8, 8, 4])
    #expect(
      graph.nodes.map(\.label) == [
        "shortcut.conv", "shortcut.bn", "conv1", "bn1", "ReLU after bn1", "conv2", "bn2",
        "add after bn2", "ReLU after bn2",
      ])
  }

  @Test func bottleneckLabelsAndOrder() throws {
    var source = RandomSource(seed: 1)
    let block = BottleneckBlock(4, width: 2, stride: 2, using: &source)
    let graph = try Graph(tracing: block, input: [.batch, 8, 8, 4])
    #expect(
      graph.nodes.map(\.label) == [
        "shortcut.conv", "shortcut.bn", "conv1", "bn1", "ReLU after bn1", "conv2", "bn2",
        "ReLU after bn2", "conv3", "bn3", "add after bn3", "ReLU after bn3",
      ])
    #expect(
      convolutions(graph).map(\.height.window) == [1, 1, 3, 1], "shortcut, narrow, middle, widen")
    #expect(convolutions(graph).map(\.height.output) == [4, 8, 4, 4])
    #expect(convolutions(graph).map(\.outputChannels) == [8, 2, 2, 8])
  }

  /// Input channels, width and stride, with the input's side and whether x is projected.
  struct Bottleneck: Sendable {
    let inputChannels: Int
    let width: Int
    let stride: Int
    let side: Int
    let isProjected: Bool
  }

  static let bottlenecks = [
    Bottleneck(inputChannels: 8, width: 2, stride: 1, side: 8, isProjected: false),
    Bottleneck(inputChannels: 8, width: 2, stride: 2, side: 8, isProjected: true),
    Bottleneck(inputChannels: 8, width: 3, stride: 1, side: 5, isProjected: true),
    Bottleneck(inputChannels: 1, width: 1, stride: 2, side: 7, isProjected: true),
    Bottleneck(inputChannels: 4, width: 1, stride: 3, side: 1, isProjected: true),
  ]

  @Test(arguments: bottlenecks)
  func bottleneck(_ row: Bottleneck) throws {
    var source = RandomSource(seed: 1)
    let block = BottleneckBlock(
      row.inputChannels, width: row.width, stride: row.stride, using: &source)
    #expect((block.shortcut != nil) == row.isProjected)
    let (narrow, wide) = (row.width, 4 * row.width)
    let side = (row.side - 1) / row.stride + 1
    for mode in [Trace.Mode.inference, .training] {
      #expect(
        try resultType(
          block, [.fixed(3), .fixed(row.side), .fixed(row.side), .fixed(row.inputChannels)],
          mode: mode)
          == ValueType([3, .fixed(side), .fixed(side), .fixed(wide)]))
    }
    var count = row.inputChannels * narrow + 9 * narrow * narrow + narrow * wide
    count += 2 * (narrow + narrow + wide)
    if row.isProjected { count += row.inputChannels * wide + 2 * wide }
    #expect(block.trainableCount == count)
    var paths = ["conv1", "bn1", "conv2", "bn2", "conv3", "bn3"].flatMap(Self.paths)
    if row.isProjected { paths += ["shortcut.conv", "shortcut.bn"].flatMap(Self.paths) }
    #expect(block.parameters.map(\.path) == paths)
  }

  private static func paths(_ layer: String) -> [String] {
    let names =
      layer.contains("conv") ? ["weight"] : ["scale", "shift", "runningMean", "runningVariance"]
    return names.map { "\(layer).\($0)" }
  }

  @Test func resNet50() throws {
    var source = RandomSource(seed: 1)
    let net = ResNet(
      inputChannels: 3, stem: .large, stemWidth: 64, block: .bottleneck,
      stages: zip([64, 128, 256, 512], [3, 4, 6, 3]).map {
        ResNet.Stage(width: $0, blocks: $1, stride: $0 == 64 ? 1 : 2)
      }, classes: 1000, initializer: ConstantInitializer(0), using: &source)
    // The figure of the literature.
    #expect(net.trainableCount == 25_557_032)
    // 161 trainable tensors and 106 running statistics, as in PyTorch's state dictionary without its
    // 53 counters.
    #expect(net.parameters.count == 267)
    let graph = try Graph(tracing: net, input: [.batch, 224, 224, 3])
    #expect(graph.type(of: graph.outputs[0].value) == ValueType([.batch, 1000]))
    let geometries = convolutions(graph)
    #expect(geometries.count == 53)
    // 4.09 G multiply-adds with the classifier.
    #expect(geometries.map(\.multiplyAddsPerImage).reduce(2048 * 1000, +) == 4_089_184_256)
    #expect(Set(geometries.map(\.height.output)) == [112, 56, 28, 14, 7])
    let shapes = Dictionary(
      uniqueKeysWithValues: net.parameters.map { ($0.path, $0.parameter.shape) })
    #expect(shapes["conv1.weight"] == [64, 7, 7, 3])
    #expect(shapes["stage1.0.shortcut.conv.weight"] == [256, 1, 1, 64])
    #expect(shapes["stage1.1.shortcut.conv.weight"] == nil)
    #expect(shapes["stage2.0.conv2.weight"] == [128, 3, 3, 128])
    #expect(shapes["stage3.5.conv3.weight"] == [1024, 1, 1, 256])
    #expect(shapes["stage4.0.shortcut.bn.runningVariance"] == [2048])
    #expect(shapes["classifier.weight"] == [1000, 2048])
  }

  /// A stem that is already as wide as the first stage's results needs no projection.
  @Test func stemWidth() throws {
    var source = RandomSource(seed: 1)
    let net = ResNet(
      inputChannels: 1, stem: .small, stemWidth: 8, block: .bottleneck,
      stages: [ResNet.Stage(width: 2, blocks: 2, stride: 1)], classes: nil, using: &source)
    #expect(net.conv1.outputChannels == 8)
    #expect(!net.parameters.contains { $0.path.contains("shortcut") })
    #expect(try resultType(net, [.batch, 4, 4, 1]) == ValueType([.batch, 8]))
  }
}
