import Keel

/// The convolutions of four networks, each once: a network's repeated layers and layers that another
/// network had before are left out.
enum ShapeTable {
  /// All shapes, in the order of the networks.
  static let all: [ConvolutionShape] = {
    var seen: Set<Key> = []
    return networks.flatMap { network in
      network.batches.flatMap { batch in
        network.layers.map {
          ConvolutionShape(network: network.name, geometry: $0.geometry, batch: batch)
        }
      }
    }.filter { seen.insert(Key(geometry: $0.geometry, batch: $0.batch)).inserted }
  }()

  private struct Key: Hashable {
    let geometry: ConvolutionGeometry
    let batch: Int
  }

  private struct Network {
    let name: String
    let batches: [Int]
    let layers: [Layer]
  }

  private static let networks = [
    Network(name: "ResNet-18", batches: [1, 8], layers: resNet18),
    Network(name: "VGG-11", batches: [1], layers: vgg11),
    Network(name: "MobileNetV2", batches: [1, 8], layers: mobileNetV2),
    Network(name: "U-Net", batches: [1], layers: uNet),
  ]

  /// He et al. 2016, 224×224 images.
  private static let resNet18 = [
    Layer(7, 3, 64, on: 224, stride: 2),
    Layer(3, 64, 64, on: 56),
    Layer(3, 64, 128, on: 56, stride: 2),
    Layer(1, 64, 128, on: 56, stride: 2),
    Layer(3, 128, 128, on: 28),
    Layer(3, 128, 256, on: 28, stride: 2),
    Layer(1, 128, 256, on: 28, stride: 2),
    Layer(3, 256, 256, on: 14),
    Layer(3, 256, 512, on: 14, stride: 2),
    Layer(1, 256, 512, on: 14, stride: 2),
    Layer(3, 512, 512, on: 7),
  ]

  /// Simonyan and Zisserman 2015, configuration A, 224×224 images.
  private static let vgg11 = [
    Layer(3, 3, 64, on: 224),
    Layer(3, 64, 128, on: 112),
    Layer(3, 128, 256, on: 56),
    Layer(3, 256, 256, on: 56),
    Layer(3, 256, 512, on: 28),
    Layer(3, 512, 512, on: 28),
    Layer(3, 512, 512, on: 14),
  ]

  /// Sandler et al. 2018, width 1, 224×224 images: stem, inverted residuals, head.
  private static let mobileNetV2 =
    [Layer(3, 3, 32, on: 224, stride: 2)]
    + residual(from: 32, expanded: 32, to: 16, on: 112)
    + residual(from: 16, expanded: 96, to: 24, on: 112, stride: 2)
    + residual(from: 24, expanded: 144, to: 24, on: 56)
    + residual(from: 24, expanded: 144, to: 32, on: 56, stride: 2)
    + residual(from: 32, expanded: 192, to: 32, on: 28)
    + residual(from: 32, expanded: 192, to: 64, on: 28, stride: 2)
    + residual(from: 64, expanded: 384, to: 64, on: 14)
    + residual(from: 64, expanded: 384, to: 96, on: 14)
    + residual(from: 96, expanded: 576, to: 96, on: 14)
    + residual(from: 96, expanded: 576, to: 160, on: 14, stride: 2)
    + residual(from: 160, expanded: 960, to: 160, on: 7)
    + residual(from: 160, expanded: 960, to: 320, on: 7)
    + [Layer(1, 320, 1280, on: 7)]

  /// Ronneberger et al. 2015 with padded convolutions, 128×128 images of three channels (at 256×256 they
  /// would take two thirds of the suite's time).
  private static let uNet = [
    Layer(3, 3, 64, on: 128), Layer(3, 64, 64, on: 128),
    Layer(3, 64, 128, on: 64), Layer(3, 128, 128, on: 64),
    Layer(3, 128, 256, on: 32), Layer(3, 256, 256, on: 32),
    Layer(3, 256, 512, on: 16), Layer(3, 512, 512, on: 16),
    Layer(3, 512, 1024, on: 8), Layer(3, 1024, 1024, on: 8),
    Layer(3, 1024, 512, on: 16), Layer(3, 512, 256, on: 32),
    Layer(3, 256, 128, on: 64), Layer(3, 128, 64, on: 128),
    Layer(1, 64, 2, on: 128),
  ]

  /// Expansion, depthwise convolution, projection.
  private static func residual(
    from input: Int, expanded: Int, to output: Int, on size: Int, stride: Int = 1
  ) -> [Layer] {
    let expansion = expanded == input ? [] : [Layer(1, input, expanded, on: size)]
    return expansion + [
      Layer(3, expanded, expanded, on: size, stride: stride, groups: expanded),
      Layer(1, expanded, output, on: size / stride),
    ]
  }
}

/// A square convolution with the padding that keeps a stride-1 output as large as the input.
private struct Layer {
  let geometry: ConvolutionGeometry

  init(
    _ kernel: Int, _ input: Int, _ output: Int, on size: Int, stride: Int = 1, groups: Int = 1
  ) {
    // The table's own numbers: they always fit together.
    geometry = try! ConvolutionGeometry(
      inputHeight: size, inputWidth: size, inputChannels: input, outputChannels: output,
      kernel: (kernel, kernel), stride: (stride, stride),
      padding: (kernel / 2, kernel / 2), groups: groups)
  }
}
