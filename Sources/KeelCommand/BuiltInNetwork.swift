import ArgumentParser
import Keel

/// The networks that the command knows by name.
enum BuiltInNetwork: String, CaseIterable {
  case digits
  case lenet
  case batchnormNet = "batchnorm-net"
  case plainCIFAR = "cifar-plain"
  case resnet20
  case resnet18
  case resnet34
  case resnet50
  case vgg11
  case vgg11BatchNorm = "vgg11-bn"
  case mobilenetV2 = "mobilenet-v2"
  case densenet121
  case unet
  case unetPadded = "unet-padded"

  /// The extents of an image, where the caller gives none.
  var imageShape: Shape {
    switch self {
    case .digits: [8, 8, 1]
    case .lenet, .batchnormNet: [28, 28, 1]
    case .plainCIFAR, .resnet20: [32, 32, 3]
    case .resnet18, .resnet34, .resnet50, .vgg11, .vgg11BatchNorm, .mobilenetV2, .densenet121:
      [224, 224, 3]
    case .unet: [572, 572, 1]
    case .unetPadded: [256, 256, 3]
    }
  }

  /// The number of classes, where the caller gives none.
  var classes: Int {
    switch self {
    case .unet: 2
    case .unetPadded: 1
    default: imageShape[0] >= 224 ? 1000 : 10
    }
  }

  /// One line on what it is.
  var about: String {
    switch self {
    case .digits: "residual network of bottleneck blocks for 8×8 digits, the demo's"
    case .lenet: "two convolutions and two linear layers, with ReLU and max pooling"
    case .batchnormNet: "two convolutions and two linear layers with batch norm"
    case .plainCIFAR: "two convolutions and three linear layers, without shortcuts"
    case .resnet20: "residual network of basic blocks for CIFAR, 20 layers"
    case .resnet18: "residual network of basic blocks, 18 layers"
    case .resnet34: "residual network of basic blocks, 34 layers"
    case .resnet50: "residual network of bottleneck blocks, 50 layers"
    case .vgg11: "eight 3×3 convolutions and three linear layers"
    case .vgg11BatchNorm: "VGG-11 with a batch norm behind each convolution"
    case .mobilenetV2: "inverted residual blocks of depthwise convolutions"
    case .densenet121: "dense blocks, whose layers see all maps before them"
    case .unet: "a class for each position, valid convolutions, 388×388 from 572×572"
    case .unetPadded: "a class for each position, padded convolutions from 32 on, batch norm"
    }
  }

  /// The network of a name.
  /// - Throws: a message that names the nearest.
  static func named(_ name: String) throws -> BuiltInNetwork {
    if let network = BuiltInNetwork(rawValue: name.lowercased()) { return network }
    let names = allCases.map(\.rawValue)
    let nearest = names.min { editDistance($0, name) < editDistance($1, name) }!
    throw ValidationError(
      editDistance(nearest, name) <= max(2, name.count / 2)
        ? "Did you mean \(nearest)? `keel summary` lists the built-in networks."
        : "`keel summary` lists the built-in networks.")
  }

  /// The graph for inference with random weights.
  /// - Parameters:
  ///   - imageShape: height, width and channels of an image; nil for the network's own.
  ///   - classes: the number of classes; nil for the network's own.
  func graph(
    imageShape: Shape? = nil, classes: Int? = nil, using source: inout RandomSource
  ) throws -> Graph {
    let image = imageShape ?? self.imageShape
    let size = PerAxis(height: image[0], width: image[1])
    let (channels, classes) = (image[2], classes ?? self.classes)
    let model: any Layer =
      switch self {
      case .digits: DigitsResNet(classes: classes, inputChannels: channels, using: &source)
      case .lenet:
        LeNet(classes: classes, inputChannels: channels, imageSize: size, using: &source)
      case .batchnormNet:
        BatchNormNet(classes: classes, inputChannels: channels, imageSize: size, using: &source)
      case .plainCIFAR:
        PlainCIFARNet(classes: classes, inputChannels: channels, imageSize: size, using: &source)
      case .resnet20: CIFARResNet(classes: classes, inputChannels: channels, using: &source)
      case .resnet18: ResNet18(classes: classes, inputChannels: channels, using: &source)
      case .resnet34: ResNet34(classes: classes, inputChannels: channels, using: &source)
      case .resnet50: ResNet50(classes: classes, inputChannels: channels, using: &source)
      case .vgg11: VGG11(classes: classes, inputChannels: channels, using: &source)
      case .vgg11BatchNorm:
        VGG11(classes: classes, inputChannels: channels, batchNorm: true, using: &source)
      case .mobilenetV2: MobileNetV2(classes: classes, inputChannels: channels, using: &source)
      case .densenet121: DenseNet(classes: classes, inputChannels: channels, using: &source)
      case .unet: UNet(classes: classes, inputChannels: channels, using: &source)
      case .unetPadded:
        UNet(
          classes: classes, inputChannels: channels, width: 32, padded: true, batchNorm: true,
          using: &source)
      }
    return try Graph(tracing: model, input: [.batch] + image.extents.map(Extent.fixed))
  }

  /// The graph with random scales, shifts and running statistics too: those of a new network (mean 0,
  /// variance 1) would make folding look easier than it is.
  func graphWithStatistics(using source: inout RandomSource) throws -> Graph {
    let graph = try graph(using: &source)
    var changed: [String: Tensor] = [:]
    for weight in graph.weights {
      let name = weight.name.split(separator: ".").last
      let shape = weight.tensor.shape
      switch name {
      case "scale":
        changed[weight.name] = Tensor(uniform: shape, from: 0.5, to: 1.5, using: &source)
      case "runningVariance":
        changed[weight.name] = Tensor(uniform: shape, from: 0.5, to: 2, using: &source)
      case "shift", "runningMean":
        changed[weight.name] = Tensor(normal: shape, deviation: 0.2, using: &source)
      default: break
      }
    }
    return try graph.replacingWeights(changed)
  }
}

/// The least number of characters to put in, take out or replace (Levenshtein's distance).
private func editDistance(_ a: String, _ b: String) -> Int {
  let (a, b) = (Array(a), Array(b.lowercased()))
  var row = Array(0...b.count)
  for i in a.indices {
    var diagonal = row[0]
    row[0] = i + 1
    for j in b.indices {
      let above = row[j + 1]
      row[j + 1] = min(diagonal + (a[i] == b[j] ? 0 : 1), above + 1, row[j] + 1)
      diagonal = above
    }
  }
  return row[b.count]
}
