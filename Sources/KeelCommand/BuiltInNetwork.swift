import ArgumentParser
import Keel

/// The networks that the command knows by name.
enum BuiltInNetwork: String, ExpressibleByArgument, CaseIterable {
  case digits
  case resnet18

  /// The extents of an image.
  var imageShape: Shape {
    switch self {
    case .digits: [8, 8, 1]
    case .resnet18: [224, 224, 3]
    }
  }

  /// The graph for inference, with random weights, scales, shifts and running statistics: those of a
  /// new network (mean 0, variance 1) would make folding look easier than it is.
  func graph(using source: inout RandomSource) throws -> Graph {
    let input = [.batch] + imageShape.extents.map(Extent.fixed)
    let graph =
      switch self {
      case .digits: try Graph(tracing: DigitsResNet(using: &source), input: input)
      case .resnet18: try Graph(tracing: ResNet18(using: &source), input: input)
      }
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

  /// The multiply-adds of convolutions and linear layers for one image.
  func multiplyAdds(of graph: Graph) -> Int {
    graph.nodes.reduce(0) { sum, node in
      switch node.primitive {
      case .convolution(let geometry, _): sum + geometry.multiplyAddsPerImage
      case .linear:
        sum + graph.type(of: node.inputs[1]).extents.reduce(1) { $0 * ($1.fixedValue ?? 1) }
      default: sum
      }
    }
  }
}
