import KeelGraph
import KeelTensor

extension Graph {
  /// Adds the class activation maps of a classifier that ends in global average pooling and a linear layer:
  /// an output N×H×W×K which says where in the image each class is seen.
  ///
  /// M[n, i, j, c] = Σ_k weight[c, k]·F[n, i, j, k], with F what is pooled; so the mean of M over positions
  /// plus the linear layer's bias is the logit of c. M is recorded as a 1×1 convolution with the linear
  /// layer's own weight.
  ///
  /// Between pooling and the linear layer, and behind it, there may be nothing else: take the maps of a
  /// graph for inference. Zhou et al. 2016, arXiv 1512.04150.
  ///
  /// - Parameters:
  ///   - logits: the name of the output that the linear layer makes.
  ///   - name: the name of the new output.
  ///   - size: the height and width to enlarge the maps to, bilinearly, such as the image's; nil for those
  ///     of the features. The mean of an enlarged map is no longer the logit's.
  /// - Throws: `KeelError` of kind `graph` where the output is unknown or made in another way; of kind
  ///   `shape` for features of open height or width.
  public func addingClassActivationMaps(
    of logits: String = "y", as name: String = "maps", size: PerAxis? = nil
  )
    throws(KeelError) -> Graph
  {
    let output = try output(named: logits)
    func producer(of value: ValueID) -> Node? { nodes.first { $0.outputs.contains(value) } }
    guard let linear = producer(of: output.value), case .linear(let epilogue) = linear.primitive,
      !epilogue.hasResidual, epilogue.activation == nil,
      let pooling = producer(of: linear.inputs[0]),
      pooling.primitive == .reduction(Reduction(.mean, axes: [1, 2])),
      type(of: pooling.inputs[0]).rank == 4
    else {
      throw KeelError(
        .graph, at: "output \(logits)",
        expected: "a linear layer behind global average pooling, for class activation maps",
        found: producer(of: output.value)?.primitive.name ?? "an input")
    }
    let features = pooling.inputs[0]
    let (image, weight) = (type(of: features).extents, type(of: linear.inputs[1]).extents)
    guard let height = image[1].fixedValue, let width = image[2].fixedValue,
      let classes = weight[0].fixedValue, let channels = weight[1].fixedValue
    else {
      throw KeelError(
        .shape, at: "output \(logits)", expected: "features of known extents",
        found: "\(type(of: features))")
    }
    var builder = GraphBuilder(self)
    let place = "class activation maps"
    let geometry = try ConvolutionGeometry(
      inputHeight: height, inputWidth: width, inputChannels: channels, outputChannels: classes,
      kernel: (1, 1), place: place)
    let kernel = try builder.append(
      .reshape(geometry.weightShape.extents.map(Extent.fixed)), [linear.inputs[1]], label: place)
    var maps = try builder.append(
      .convolution(geometry, Epilogue()), [features, kernel[0]], label: place)
    if let size {
      let axes = [size.height, size.width].map {
        AxisMovement.resize(to: $0, .linear, .halfPixel, scale: nil)
      }
      maps = try builder.append(
        .movement(Movement([.whole] + axes + [.whole])), maps, label: place)
    }
    builder.output(name, maps[0])
    return try builder.finish()
  }
}

/// One class activation map: how much each position of an image speaks for a class.
///
/// Zhou et al. 2016, arXiv 1512.04150.
public struct ClassActivationMap: Hashable, Sendable {
  /// H×W.
  public let values: Tensor

  /// Takes one image's map of one class out of N×H×W×K.
  /// - Throws: `KeelError` of kind `shape` for another rank, of kind `argument` for a sample or class that
  ///   is not there.
  public init(_ maps: Tensor, sample: Int, class number: Int) throws(KeelError) {
    let place = "class activation map"
    guard maps.shape.rank == 4 else {
      throw KeelError(.shape, at: place, expected: "maps N×H×W×K", found: "\(maps.shape)")
    }
    for (what, value, count) in [
      ("sample", sample, maps.shape[0]), ("class", number, maps.shape[3]),
    ] where !(0..<count).contains(value) {
      throw KeelError(
        .argument, at: place, expected: "a \(what) from 0 to \(count - 1)", found: "\(value)")
    }
    let (height, width, classes) = (maps.shape[1], maps.shape[2], maps.shape[3])
    let elements = maps.elements
    values = Tensor(uninitialized: [height, width]) { out in
      for i in out.indices { out[i] = elements[(sample * out.count + i) * classes + number] }
    }
  }

  /// The map for display: its smallest value becomes 0, its largest 1; all 0 where they are equal. NaN
  /// anywhere makes everything NaN.
  public func normalized() -> Tensor {
    let elements = values.elements
    guard !elements.contains(where: \.isNaN), let low = elements.min(), let high = elements.max()
    else { return Tensor(repeating: .nan, shape: values.shape) }
    let range = high - low
    return Tensor(uninitialized: values.shape) { out in
      for i in out.indices { out[i] = range > 0 ? (elements[i] - low) / range : 0 }
    }
  }
}
