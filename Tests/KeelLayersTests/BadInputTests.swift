import KeelGraph
import KeelLayers
import KeelTensor
import Testing

/// Every wrong size is an error that names the layer, what was expected and what was found.
@Suite struct BadInputTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let layer: any Layer
    let input: [Extent]
    let message: String
    var testDescription: String { message }

    init(_ input: [Extent], _ message: String, _ make: (inout RandomSource) -> any Layer) {
      var source = RandomSource(seed: 1)
      layer = make(&source)
      self.input = input
      self.message = message
    }
  }

  static let image: [Extent] = [.batch, 8, 8, 4]

  static let convolutions = [
    Case(image, "argument error at net.conv: expected input channels at least 1, found -4") {
      Conv2d(-4, 8, kernel: 3, using: &$0)
    },
    Case(image, "argument error at net.conv: expected output channels at least 1, found 0") {
      Conv2d(4, 0, kernel: 3, using: &$0)
    },
    Case(image, "argument error at net.conv: expected kernel size of height at least 1, found 0") {
      Conv2d(4, 8, kernel: 0, using: &$0)
    },
    Case(image, "argument error at net.conv: expected kernel size of width at least 1, found -1") {
      Conv2d(4, 8, kernel: PerAxis(height: 3, width: -1), using: &$0)
    },
    Case(image, "argument error at net.conv: expected stride of height at least 1, found 0") {
      Conv2d(4, 8, kernel: 3, stride: 0, using: &$0)
    },
    Case(image, "argument error at net.conv: expected padding of height at least 0, found -1") {
      Conv2d(4, 8, kernel: 3, padding: -1, using: &$0)
    },
    Case(image, "argument error at net.conv: expected dilation of height at least 1, found 0") {
      Conv2d(4, 8, kernel: 3, dilation: 0, using: &$0)
    },
    Case(image, "argument error at net.conv: expected groups at least 1, found 0") {
      Conv2d(4, 8, kernel: 3, groups: 0, using: &$0)
    },
    Case(image, "argument error at net.conv: expected groups at least 1, found -2") {
      Conv2d(4, 8, kernel: 3, groups: -2, using: &$0)
    },
    Case(
      image,
      "argument error at net.conv: expected groups that divide input and output channels, "
        + "found 3 groups for 4 and 6 channels"
    ) { Conv2d(4, 6, kernel: 3, groups: 3, using: &$0) },
    Case(
      image,
      "argument error at net.conv: expected groups that divide input and output channels, "
        + "found 2 groups for 4 and 7 channels"
    ) { Conv2d(4, 7, kernel: 3, groups: 2, using: &$0) },
    Case(
      image,
      "shape error at net.conv: expected a kernel of at most 8 on height "
        + "(input 8 with padding 0+0), found 9 (kernel 9, dilation 1)"
    ) { Conv2d(4, 8, kernel: 9, using: &$0) },
    Case(
      image,
      "shape error at net.conv: expected input float32 batch×8×8×3 for convolution, "
        + "found float32 batch×8×8×4"
    ) { Conv2d(3, 8, kernel: 3, bias: false, using: &$0) },
    Case(
      [.batch, 8],
      "shape error at net.conv: expected N×H×W×C of known H, W, C, found float32 batch×8"
    ) { Conv2d(4, 8, kernel: 3, using: &$0) },
    Case(
      [.batch, .symbol("height"), 8, 4],
      "shape error at net.conv: expected N×H×W×C of known H, W, C, found float32 batch×height×8×4"
    ) { Conv2d(4, 8, kernel: 3, using: &$0) },
    Case(
      image,
      "argument error at net.conv.weight: expected at most 2147483647 elements, "
        + "found 1000000×3×3×4000000"
    ) { Conv2d(4_000_000, 1_000_000, kernel: 3, using: &$0) },
    Case(
      image, "argument error at net.conv: expected sizes of height below 2³¹, found \(Int.max)"
    ) { Conv2d(4, 8, kernel: 3, padding: .max, using: &$0) },
    Case(image, "argument error at net.conv: expected sizes of height below 2³¹, found \(Int.max)")
    { Conv2d(4, 8, kernel: .max, using: &$0) },
  ]

  static let others = [
    Case([.batch, 4], "argument error at net.conv: expected input features at least 1, found -4") {
      Linear(-4, 2, using: &$0)
    },
    Case([.batch, 4], "argument error at net.conv: expected output features at least 1, found 0") {
      Linear(4, 0, using: &$0)
    },
    Case(
      [.batch, 5],
      "shape error at net.conv: expected input with 4 columns for linear, "
        + "found float32 batch×5"
    ) { Linear(4, 2, using: &$0) },
    Case(
      image,
      "shape error at net.conv: expected input of rows×columns for linear, "
        + "found float32 batch×8×8×4"
    ) { Linear(4, 2, using: &$0) },
    Case(image, "argument error at net.conv: expected channels at least 1, found 0") { _ in
      BatchNorm(0)
    },
    Case(
      image, "shape error at net.conv: expected an input of 3 channels, found float32 batch×8×8×4"
    ) { _ in BatchNorm(3) },
    Case(
      [4],
      "shape error at net.conv: expected input of rows×channels for batch norm, found float32 4"
    ) { _ in BatchNorm(4) },
    Case(
      image,
      "argument error at net.conv: expected a momentum from 0 to 1 (the weight of the new value), "
        + "found 1.5"
    ) { _ in BatchNorm(4, momentum: 1.5) },
    Case(
      image,
      "argument error at net.conv: expected a momentum from 0 to 1 (the weight of the new value), "
        + "found nan"
    ) { _ in BatchNorm(4, decay: .nan) },
    Case(
      image,
      "argument error at net.conv: expected a finite epsilon of at least 0, "
        + "found -1.0"
    ) { _ in BatchNorm(4, epsilon: -1) },
    Case(
      image,
      "argument error at pooling after the input: expected kernel size of height at least 1, found 0"
    ) { _ in MaxPool2d(0) },
    Case(
      image,
      "argument error at pooling after the input: expected stride of height at least 1, found -1"
    ) { _ in AveragePool2d(2, stride: -1) },
    Case(
      image,
      "argument error at pooling after the input: expected padding of at most half the window of 2, "
        + "found 2"
    ) { _ in MaxPool2d(2, padding: 2) },
    Case(
      [.batch, 8],
      "shape error at pooling after the input: expected N×H×W×C of known H, W, C, "
        + "found float32 batch×8"
    ) { _ in MaxPool2d(2) },
    Case(
      [.batch, 8],
      "shape error at global average pooling after the input: "
        + "expected N×L×C, N×H×W×C or N×D×H×W×C, found float32 batch×8"
    ) { _ in GlobalAveragePool() },
    Case(
      [.batch, .symbol("length")],
      "shape error at flatten after the input: expected known extents after the first axis, "
        + "found float32 batch×length"
    ) { _ in Flatten() },
    Case(
      image,
      "shape error at add after net.conv.body: expected second operand float32 batch×8×8×8 for add, "
        + "found float32 batch×8×8×4"
    ) { ResidualBlock(Conv2d(4, 8, kernel: 1, using: &$0)) },
    Case(
      [.batch, 0, 8, 4],
      "shape error at input x: expected extents of at least 1, found float32 batch×0×8×4"
    ) { _ in ReLU() },
    Case(image, "argument error at net.conv.stages: expected at least one stage, found none") {
      ResNet(inputChannels: 4, stem: .small, stages: [], classes: 2, using: &$0)
    },
    Case(image, "argument error at net.conv.stage1: expected at least 1 block, found -1") {
      DigitsResNet(blocksPerStage: -1, inputChannels: 4, using: &$0)
    },
    Case(
      image, "argument error at net.conv.classifier: expected output features at least 1, found 0"
    ) { DigitsResNet(classes: 0, inputChannels: 4, using: &$0) },
    Case(
      image,
      "argument error at net.conv.stage2.0.shortcut.conv: expected output channels at least 1, "
        + "found -3"
    ) { DigitsResNet(widths: [4, -3], inputChannels: 4, using: &$0) },
  ]

  static let bottlenecks = [
    Case(
      image,
      "argument error at net.conv.shortcut.conv: expected output channels at least 1, found 0"
    ) { BottleneckBlock(4, width: 0, using: &$0) },
    Case(
      image,
      "argument error at net.conv.shortcut.conv: expected output channels at least 1, found -2"
    ) { BottleneckBlock(4, width: -2, using: &$0) },
    Case(
      image,
      "argument error at net.conv.shortcut.conv: expected channels below 2³¹, found 4 and 9223372036854775807"
    ) { BottleneckBlock(4, width: .max, using: &$0) },
    Case(
      image,
      "argument error at net.conv.shortcut.conv: expected channels below 2³¹, found 4 and 9223372036854775804"
    ) { BottleneckBlock(4, width: .max / 4, using: &$0) },
    Case(
      image,
      "argument error at net.conv.shortcut.conv: expected channels below 2³¹, found 4 and 8589934592"
    ) { BottleneckBlock(4, width: 1 << 31, using: &$0) },
    Case(
      image,
      "argument error at net.conv.shortcut.conv: expected output channels at least 1, found \(Int.min)"
    ) { BottleneckBlock(4, width: .min, using: &$0) },
    Case(
      image,
      "argument error at net.conv.shortcut.conv: expected stride of height at least 1, found 0"
    ) { BottleneckBlock(4, width: 1, stride: 0, using: &$0) },
    Case(
      image, "argument error at net.conv.shortcut.conv: expected input channels at least 1, found 0"
    ) { BottleneckBlock(0, width: 1, using: &$0) },
    Case(image, "argument error at net.conv.conv1: expected output channels at least 1, found 0") {
      ResNet(
        inputChannels: 4, stem: .small, stemWidth: 0, block: .bottleneck,
        stages: [ResNet.Stage(width: 1, blocks: 1, stride: 1)], classes: 2, using: &$0)
    },
  ]

  @Test(arguments: convolutions + others + bottlenecks)
  func message(_ bad: Case) {
    func check(_ layer: some Layer) {
      for mode in [Trace.Mode.inference, .training] {
        #expect(failure(Model(layer), bad.input, mode: mode)?.description == bad.message)
      }
    }
    check(bad.layer)
  }

  @Test func aLayerThatIsTheModelIsNamedByItsKind() {
    var source = RandomSource(seed: 1)
    #expect(failure(Conv2d(3, 8, kernel: 3, using: &source), Self.image)?.place == "Conv2d")
    #expect(failure(Linear(3, 8, using: &source), Self.image)?.place == "Linear")
    #expect(failure(BatchNorm(3), Self.image)?.place == "BatchNorm")
  }

  @Test func oneValuePerChannelInTraining() {
    let error = failure(Model(BatchNorm(4)), [1, 4], mode: .training)
    #expect(
      error?.description
        == "shape error at net.conv: expected more than one value per channel "
        + "for batch norm, found float32 1×4")
    #expect(failure(Model(BatchNorm(4)), [1, 4]) == nil)
    #expect(failure(Model(BatchNorm(4, frozen: true)), [1, 4], mode: .training) == nil)
  }

  @Test func labelsNeedLogits() throws {
    var source = RandomSource(seed: 1)
    let net = Conv2d(1, 2, kernel: 3, using: &source)
    #expect(throws: KeelError.self) { try Graph.trainingGraph(of: net, input: []) }
    #expect(throws: KeelError.self) { try Graph.trainingGraph(of: net, input: [.batch, 8, 8, 2]) }
    // Logits for each pixel take labels for each pixel.
    let graph = try Graph.trainingGraph(of: net, input: [.batch, 8, 8, 1])
    let labels = try #require(graph.inputs.first { $0.name == "labels" })
    #expect(graph.type(of: labels.value) == ValueType(.int64, [.batch, 6, 6]))
  }

  @Test func variablesOfAnotherTrace() {
    struct Stale: Layer, @unchecked Sendable {
      let old: Variable
      func callAsFunction(_ x: Variable) -> Variable { old }
    }
    let old = Trace(model: (), mode: .inference).input("old", ValueType([1]))
    #expect(
      failure(Stale(old: old), [1])?.description
        == "graph error at output y: expected a variable of this trace, found of another")
  }
}
