import Foundation
import KeelGraph
import KeelLayers
import KeelTensor
import KeelTestSupport
import Testing

/// What Scripts/golden/summary.py found with PyTorch.
struct GoldenSummary: Decodable {
  /// An output's shape, parameters and multiply-adds of a layer with weights.
  struct Layer: Decodable, Hashable {
    let shape: [Int]
    let parameters: Int
    let multiplyAdds: Int

    init(shape: [Int], parameters: Int, multiplyAdds: Int) {
      self.shape = shape
      self.parameters = parameters
      self.multiplyAdds = multiplyAdds
    }

    init(from decoder: any Decoder) throws {
      var values = try decoder.unkeyedContainer()
      shape = try values.decode([Int].self)
      parameters = try values.decode(Int.self)
      multiplyAdds = try values.decode(Int.self)
    }
  }

  let input: [Int]
  let parameters: Int
  let runningStatistics: Int
  let multiplyAdds: Int
  let trainingMultiplyAdds: Int?
  let field: Int?
  let names: [String]?
  let layers: [Layer]

  static let all = Result {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode([String: GoldenSummary].self, from: Figures.data("summary.json"))
  }
}

/// The built-in networks against PyTorch's counts.
@Suite(.serialized) struct ModelTests {
  static let models: [(name: String, make: @Sendable (inout RandomSource) -> any Layer)] = [
    ("digits", { DigitsResNet(using: &$0) }),
    ("lenet", { LeNet(using: &$0) }),
    ("batchnorm-net", { BatchNormNet(using: &$0) }),
    ("cifar-plain", { PlainCIFARNet(using: &$0) }),
    ("resnet20", { CIFARResNet(using: &$0) }),
    ("resnet18", { ResNet18(using: &$0) }),
    ("resnet34", { ResNet34(using: &$0) }),
    ("resnet50", { ResNet50(using: &$0) }),
    ("vgg11", { VGG11(using: &$0) }),
    ("vgg11-bn", { VGG11(batchNorm: true, using: &$0) }),
    ("mobilenet-v2", { MobileNetV2(using: &$0) }),
    ("densenet121", { DenseNet(using: &$0) }),
    ("unet", { UNet(using: &$0) }),
    (
      "unet-padded",
      {
        UNet(
          classes: 1, inputChannels: 3, width: 32, padded: true, batchNorm: true, using: &$0)
      }
    ),
  ]

  @Test(arguments: models.indices)
  func counts(_ index: Int) throws {
    let (name, make) = Self.models[index]
    let golden = try #require(try GoldenSummary.all.get()[name], "\(name)")
    var source = RandomSource(seed: 1)
    let model = make(&source)
    #expect(model.trainableCount == golden.parameters)
    let input = [.batch] + golden.input.dropFirst().map(Extent.fixed)
    let shape = Shape(golden.input)
    let summary = try GraphSummary(
      Graph(tracing: model, input: input), inputShapes: ["x": shape])
    #expect(summary.parameters == golden.parameters)
    #expect(summary.stateCount == golden.runningStatistics)
    #expect(summary.multiplyAdds == golden.multiplyAdds)
    let layers = summary.rows.filter { $0.parameters > 0 }.map {
      GoldenSummary.Layer(
        shape: $0.outputShape.extents, parameters: $0.parameters, multiplyAdds: $0.multiplyAdds)
    }
    #expect(counted(layers) == counted(golden.layers))
    if let field = golden.field {
      let last = summary.rows.last { ($0.receptiveField?.axes[0].jump ?? 0) > 0 }
      #expect(last?.receptiveField?.axes.map(\.size) == [field, field])
    }
  }

  /// Paths are torchvision's names but for norms, and in residual networks for stages, shortcuts and
  /// classifier.
  @Test(arguments: models.map(\.name))
  func names(_ name: String) throws {
    guard let names = try GoldenSummary.all.get()[name]?.names else { return }
    let (_, make) = try #require(Self.models.first { $0.name == name })
    var source = RandomSource(seed: 1)
    let paths = make(&source).parameters.map(\.path)
    #expect(
      paths.map {
        name.hasPrefix("resnet")
          ? ResNet.torchvisionName(pyTorchName(of: $0)) : pyTorchName(of: $0)
      }.sorted() == names)
  }

  private func counted(_ layers: [GoldenSummary.Layer]) -> [GoldenSummary.Layer: Int] {
    layers.reduce(into: [:]) { $0[$1, default: 0] += 1 }
  }

  /// Forward and backward passes of two images: gradients of weights, and of all inputs but the image.
  @Test(arguments: [
    "lenet", "batchnorm-net", "cifar-plain", "digits", "resnet18", "resnet20", "densenet121",
  ])
  func trainingCounts(_ name: String) throws {
    let golden = try #require(try GoldenSummary.all.get()[name])
    let (_, make) = try #require(Self.models.first { $0.name == name })
    var source = RandomSource(seed: 1)
    let input = [.batch] + golden.input.dropFirst().map(Extent.fixed)
    let graph = try trainingGraph(make(&source), input).differentiated()
    let shape = Shape([2] + golden.input.dropFirst())
    var shapes = ["x": shape, "labels": Shape([2])]
    for name in graph.seedNames { shapes[name] = [] }
    let summary = try GraphSummary(graph, inputShapes: shapes)
    #expect(summary.multiplyAdds == golden.trainingMultiplyAdds)
    #expect(summary.parameters == golden.parameters)
  }

  private func trainingGraph(_ model: some Layer, _ input: [Extent]) throws -> Graph {
    try Graph.trainingGraph(of: model, input: input)
  }
}
