import KeelGraph
import KeelLayers
import KeelTensor
import Testing

@Suite struct ResNetTests {
  @Test func resNet18() throws {
    var source = RandomSource(seed: 1)
    let net = ResNet18(using: &source)
    #expect(net.trainableCount == 11_689_512)
    // 62 trainable tensors and 40 running statistics, as in PyTorch's state dictionary without its
    // 20 counters.
    #expect(net.parameters.count == 102)
    let graph = try Graph(tracing: net, input: [.batch, 224, 224, 3])
    #expect(graph.type(of: graph.outputs[0].value) == ValueType([.batch, 1000]))
    #expect(convolutions(graph).count == 20)
    // 1.81 G multiply-adds, the figure of the literature.
    #expect(convolutions(graph).map(\.multiplyAddsPerImage).reduce(0, +) == 1_813_561_344)
    let sides = convolutions(graph).map(\.height.output)
    #expect(Set(sides) == [112, 56, 28, 14, 7])
    let paths = Set(net.parameters.map(\.path))
    for path in [
      "conv1.weight", "bn1.scale", "bn1.runningVariance", "stage1.0.conv1.weight",
      "stage1.1.bn2.shift", "stage2.0.shortcut.conv.weight", "stage4.0.shortcut.bn.runningMean",
      "classifier.weight", "classifier.bias",
    ] {
      #expect(paths.contains(path), "\(path)")
    }
    #expect(!paths.contains("stage1.0.shortcut.conv.weight"))
    #expect(net.parameters.allSatisfy { $0.parameter.shape.rank != 1 || !$0.path.contains("conv") })
  }

  @Test func resNet18WithoutClassifier() throws {
    var source = RandomSource(seed: 1)
    let net = ResNet18(classes: nil, using: &source)
    #expect(net.trainableCount == 11_176_512)
    #expect(try resultType(net, [.batch, 64, 64, 3]) == ValueType([.batch, 512]))
  }

  /// The figures of the doc comment, by hand.
  @Test func digits() throws {
    var source = RandomSource(seed: 1)
    let net = DigitsResNet(using: &source)
    let graph = try Graph(tracing: net, input: [.batch, 8, 8, 1])
    #expect(graph.type(of: graph.outputs[0].value) == ValueType([.batch, 10]))
    let geometries = convolutions(graph)
    // A stem, six blocks of three, and a projection in the first block of each stage.
    #expect(geometries.count == 1 + 6 * 3 + 3)
    #expect(Set(geometries.map(\.height.output)) == [8, 4, 2])
    // The classifier adds 256·10.
    let multiplyAdds = geometries.map(\.multiplyAddsPerImage).reduce(256 * 10, +)
    #expect(multiplyAdds == 2_092_544)
    #expect(net.trainableCount == 220_090)
    #expect(graph.updates.isEmpty)
  }

  @Test func widthsAndBlocksAreFree() throws {
    var source = RandomSource(seed: 1)
    let net = DigitsResNet(
      widths: [8, 24], blocksPerStage: 2, classes: nil, inputChannels: 3, using: &source)
    #expect(try resultType(net, [.batch, 8, 8, 3]) == ValueType([.batch, 96]))
    #expect(net.parameters.last?.path == "stage2.1.bn3.runningVariance")
  }

  @Test func trainingGraph() throws {
    var source = RandomSource(seed: 1)
    let net = DigitsResNet(widths: [4, 8], blocksPerStage: 1, using: &source)
    let graph = try Graph.trainingGraph(of: net, input: [.batch, 8, 8, 1])
    #expect(graph.inputs.map(\.name) == ["x", "labels"])
    #expect(graph.type(of: graph.inputs[1].value) == ValueType(.int64, [.batch]))
    #expect(graph.outputs.map(\.name) == ["y", "loss"])
    #expect(graph.type(of: graph.outputs[1].value) == ValueType([]))
    // The stem's and four of each block, each with two running statistics.
    #expect(graph.updates.count == 2 * (1 + 2 * 4))
    let gradient = try graph.differentiated()
    let trainable = net.parameters.filter { $0.parameter.role == .trainable }
    for (path, parameter) in trainable {
      let output = try gradient.output(named: Graph.gradientName(path))
      #expect(gradient.type(of: output.value) == ValueType(shape: parameter.shape), "\(path)")
    }
    #expect(gradient.outputs.count == 2 + trainable.count)
  }

  @Test func onlyOneNormIsFrozen() throws {
    var source = RandomSource(seed: 1)
    var net = DigitsResNet(widths: [4], blocksPerStage: 1, using: &source)
    var block = try #require(net.network.stages[0][0] as? BottleneckBlock)
    var norm = try #require(block.bn1 as? BatchNorm)
    norm.frozen = true
    block.bn1 = norm
    net.network.stages[0][0] = block
    let graph = try Graph.trainingGraph(of: net, input: [.batch, 8, 8, 1])
    #expect(
      graph.updates.map(\.weight) == [
        "bn1.runningMean", "bn1.runningVariance",
        "stage1.0.shortcut.bn.runningMean", "stage1.0.shortcut.bn.runningVariance",
        "stage1.0.bn2.runningMean", "stage1.0.bn2.runningVariance",
        "stage1.0.bn3.runningMean", "stage1.0.bn3.runningVariance",
      ])
  }
}
