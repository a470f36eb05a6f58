import KeelGraph
import KeelTensor
import KeelTestSupport

/// Random networks of blocks as they are found in the wild: convolution or linear layer, batch norm,
/// perhaps a residual add, perhaps a ReLU, with everything that makes folding think: shared weights,
/// results that are taken twice, norms with epilogues of their own, shortcuts on either side.
struct RandomNetwork {
  private var random: RandomSource
  private var writer: NetworkWriter
  private var blocks = 0

  static func graph(seed: UInt64, isExact: Bool = false) throws -> Graph {
    var network = RandomNetwork(seed: seed, isExact: isExact)
    return try network.graph()
  }

  private init(seed: UInt64, isExact: Bool) {
    random = RandomSource(seed: seed)
    writer = NetworkWriter(seed: seed, isExact: isExact)
  }

  private mutating func chance(_ one: Int) -> Bool { random.below(one) == 0 }

  private mutating func graph() throws -> Graph {
    let isImage = !chance(4)
    let channels = [4, 6, 12][random.below(3)]
    let type =
      isImage
      ? ValueType([.batch, 5, 6, .fixed(channels)]) : ValueType([.batch, .fixed(channels)])
    var x = writer.builder.input("x", type)
    for _ in 0..<1 + random.below(3) { x = try block(x, isImage: isImage) }
    writer.builder.output("y", x)
    return try writer.builder.finish()
  }

  private mutating func block(_ x: ValueID, isImage: Bool) throws -> ValueID {
    blocks += 1
    let label = "block\(blocks)"
    let channels = writer.builder.graph.type(of: x).channelCount!
    let hasResidual = chance(2)
    let outputs = hasResidual && chance(2) ? channels : [4, 6, 12][random.below(3)]
    var y = try branch(x, channels, outputs, isImage: isImage, label: "\(label).body")
    if chance(8) { writer.builder.output("\(label).between", y) }
    if hasResidual {
      let shortcut: ValueID
      if outputs == channels, chance(2) {
        shortcut = x
      } else if chance(6) {
        shortcut = y
      } else {
        shortcut = try branch(x, channels, outputs, isImage: isImage, label: "\(label).shortcut")
      }
      y =
        try chance(2)
        ? writer.add(y, shortcut, label: label) : writer.add(shortcut, y, label: label)
    }
    return try chance(3) ? y : writer.relu(y, label: label)
  }

  /// A convolution or linear layer and mostly a norm.
  private mutating func branch(
    _ x: ValueID, _ inputs: Int, _ outputs: Int, isImage: Bool, label: String
  ) throws -> ValueID {
    var y: ValueID
    let hasBias = chance(2)
    if isImage {
      let (geometry, sharesWeight) = try geometry(inputs, outputs)
      y = try writer.convolution(x, geometry, bias: hasBias, label: "\(label).conv")
      if sharesWeight {
        let weight = writer.builder.graph.weight(named: "\(label).conv.weight")!.value
        let twin = try writer.convolution(
          x, geometry, bias: hasBias, weight: weight, label: "\(label).twin")
        y = try chance(2) ? writer.add(y, twin) : writer.add(try norm(twin, "\(label).twin.bn"), y)
      }
    } else {
      y = try writer.linear(x, inputs, outputs, bias: hasBias, label: "\(label).linear")
    }
    if chance(8) { y = try writer.relu(y, label: "\(label).early") }
    return try chance(8) ? y : norm(y, "\(label).bn")
  }

  private mutating func norm(_ x: ValueID, _ label: String) throws -> ValueID {
    let epilogue = Epilogue(activation: chance(4) ? .relu : nil)
    return try writer.norm(
      x, affine: !chance(4), epsilon: [1e-5, 1e-3, 0.1][random.below(3)], epilogue: epilogue,
      label: label)
  }

  /// A geometry that keeps 5×6, padded unevenly.
  private mutating func geometry(_ inputs: Int, _ outputs: Int) throws -> (
    ConvolutionGeometry, Bool
  ) {
    func axis(_ input: Int, _ window: Int, before: Int) throws -> SpatialAxis {
      try SpatialAxis(
        input: input, window: window, paddingBefore: before, paddingAfter: window - 1 - before)
    }
    let (kernelHeight, kernelWidth) = (1 + random.below(4), 1 + random.below(3))
    let candidates = [1, 1, 2, inputs].filter { inputs % $0 == 0 && outputs % $0 == 0 }
    return (
      try ConvolutionGeometry(
        height: axis(5, kernelHeight, before: random.below(kernelHeight)),
        width: axis(6, kernelWidth, before: random.below(kernelWidth)), inputChannels: inputs,
        outputChannels: outputs, groups: candidates[random.below(candidates.count)]),
      chance(6)
    )
  }
}
