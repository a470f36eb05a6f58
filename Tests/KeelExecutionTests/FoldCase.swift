import KeelGraph
import KeelTensor
import KeelTestSupport

/// A small random graph around one or a few norms that folding should move, from a seed alone.
struct FoldCase {
  /// The graph.
  var graph: Graph { get throws { try writer.builder.finish() } }
  /// What is to be folded: the kind of fold by the label of the norm or add.
  private(set) var kinds: [String: String] = [:]
  /// What the case is, for messages.
  private(set) var form = ""

  private var random: RandomSource
  private var writer: NetworkWriter
  private var count = 0

  /// Makes the case of a seed.
  init(seed: UInt64) throws {
    random = RandomSource(seed: seed)
    writer = NetworkWriter(seed: seed)
    switch random.below(13) {
    case 0...1: try normBehind()
    case 2...5: try normBefore()
    case 6...7: try shortcuts()
    case 8: try sharedConsumers()
    case 9...10: try carriers()
    default: try chains()
    }
  }

  private mutating func chance(_ one: Int) -> Bool { random.below(one) == 0 }
  private mutating func one<T>(of values: [T]) -> T { values[random.below(values.count)] }

  // MARK: Forms

  /// x → operator → norm, with an epilogue or residual behind it now and then.
  private mutating func normBehind() throws {
    let op = try randomOperator()
    let x = input(op)
    let y = try apply(op, to: x, label: "op")
    let hasResidual = chance(3)
    var residual: ValueID?
    if hasResidual { residual = writer.builder.input("r", writer.builder.graph.type(of: y)) }
    let end = Epilogue(hasResidual: hasResidual, activation: chance(2) ? .relu : nil)
    finish(try norm(y, "into \(op.name) before it", end, residual: residual))
    form = "\(op.name) → norm"
  }

  /// x → [ReLU] → norm → operator, perhaps with a residual of its own, perhaps norm behind it too.
  private mutating func normBefore() throws {
    let op = try randomOperator()
    var x = input(op)
    if chance(2) { x = try writer.relu(x) }
    let padding = op.geometry.map { $0.axes.contains { $0.paddingBefore > 0 } ? ", padded" : "" }
    x = try norm(x, "into \(op.name) after it\(padding ?? "")")
    var y = try apply(op, to: x, label: "op", residual: chance(4))
    if chance(4) { y = try norm(y, "behind a folded one") }
    finish(y)
    form = "norm → \(op.name)"
  }

  /// Parallel branches of one input, added in random order.
  private mutating func shortcuts() throws {
    var branches: [ValueID] = []
    let rank = random.below(4)
    let (groups, channels) = one(of: [(1, 3), (2, 4), (4, 4)])
    let outputs = chance(3) ? channels * 2 : channels
    let stride = rank > 0 && chance(4) ? 2 : 1
    var axes: [(small: SpatialAxis, large: SpatialAxis)] = []
    for _ in 0..<rank {
      let (size, dilation) = (3 + random.below(3), 1 + random.below(2))
      axes.append(
        (
          try SpatialAxis(input: size, window: 1, stride: stride),
          try SpatialAxis(
            input: size, window: 3, stride: stride, paddingBefore: dilation,
            paddingAfter: dilation, dilation: dilation)
        ))
    }
    func operation(_ axes: [SpatialAxis], groups: Int) throws -> Operator {
      rank == 0
        ? .linear(channels, outputs)
        : .convolution(
          try ConvolutionGeometry(
            axes: axes, inputChannels: channels, outputChannels: outputs, groups: groups))
    }
    let host = try operation(axes.map(\.large), groups: groups)
    let x = input(host)
    branches.append(try norm(apply(host, to: x, label: "host"), "into the host"))
    let canBeIdentity = outputs == channels && stride == 1
    for i in 0..<1 + random.below(3) {
      switch canBeIdentity ? random.below(3) : 0 {
      case 0:
        let guest = try operation(axes.map(\.small), groups: chance(2) ? groups : channels)
        let y = try apply(guest, to: x, label: "guest\(i)")
        kinds["guest\(i)"] = "branch 1×1"
        branches.append(chance(3) ? y : try norm(y, "into a branch"))
      case 1: branches.append(try norm(x, "branch norm"))
      default: branches.append(x)
      }
    }
    var sum = branches.remove(at: random.below(branches.count))
    while !branches.isEmpty {
      count += 1
      let other = branches.remove(at: random.below(branches.count))
      sum =
        try chance(2) ? writer.add(sum, other, label: "sum") : writer.add(other, sum, label: "sum")
    }
    kinds["sum"] = "sum of branches"
    finish(chance(2) ? sum : try writer.relu(sum))
    form = "branches of rank \(rank)"
  }

  /// Results that several operations take.
  private mutating func sharedConsumers() throws {
    let op = try randomOperator()
    let x = input(op)
    switch random.below(3) {
    case 0:
      let y = try apply(op, to: x, label: "op")
      writer.builder.output("between", y)
      finish(try norm(y, "into a second \(op.name)"))
      form = "\(op.name) → norm, result taken twice"
    case 1:
      let y = try norm(x, "into several")
      writer.builder.output("a", try apply(op, to: y, label: "a"))
      finish(try apply(op, to: y, label: "b"))
      form = "norm → two × \(op.name)"
    default:
      // Two norms behind operators that share a weight.
      let y = try apply(op, to: x, label: "op")
      let weight = writer.builder.graph.weight(named: "op.weight")!.value
      writer.builder.output("a", try norm(y, "with a shared weight"))
      finish(try norm(apply(op, to: x, label: "twin", weight: weight), "with a shared weight"))
      form = "\(op.name) twice → norms"
    }
  }

  /// Operations that a norm commutes with, on either side.
  private mutating func carriers() throws {
    let isBefore = chance(2)
    let channels = 1 + random.below(4)
    let x = writer.builder.input("x", ValueType([.batch, 4, 4, .fixed(channels)]))
    var y = x
    let hasOffsets = chance(2)
    let other = try carrier(channels)
    let kind = if case .reduction = other { "past a reduction" } else { "past \(other.name)" }
    if isBefore {
      y = try norm(y, kind, hasOffsets: hasOffsets, signs: chance(4))
    } else {
      y = try writer.convolution(y, sameGeometry(4, channels, channels), label: "op")
    }
    y = try writer.builder.append(other, [y], label: "other")[0]
    let type = writer.builder.graph.type(of: y)
    if isBefore {
      let features = type.extents.dropFirst().compactMap(\.fixedValue).reduce(1, *)
      y = try writer.builder.append(.reshape([.batch, .fixed(features)]), [y], label: "flat")[0]
      y = try writer.linear(y, features, 5, bias: chance(2), label: "op")
    } else {
      y = try norm(y, kind, hasOffsets: hasOffsets, signs: chance(4))
    }
    finish(y)
    form = isBefore ? "norm → \(other.name) → linear" : "convolution → \(other.name) → norm"
  }

  /// An operation on N×4×4×C that a norm may commute with.
  private mutating func carrier(_ channels: Int) throws -> Primitive {
    func pooling(_ kind: PoolingGeometry.Kind) throws -> Primitive {
      let (window, stride, padding) = one(of: [(2, 2, 0), (3, 1, 1), (3, 2, 1)])
      return .pooling(
        try PoolingGeometry(
          kind, inputHeight: 4, inputWidth: 4, channels: channels, window: (window, window),
          stride: (stride, stride), padding: (padding, padding)))
    }
    func movement(_ axis: AxisMovement) -> Primitive {
      .movement(Movement([.whole, axis, .whole, .whole]))
    }
    switch random.below(11) {
    case 0, 1: return try pooling(.maximum)
    case 2, 3: return try pooling(.average(countsPadding: chance(2)))
    case 4: return try pooling(.l2)
    case 5: return .activation(chance(2) ? .relu : .leakyReLU(slope: 0.25))
    case 6: return .transpose(permutation: [0, 2, 1, 3])
    case 7: return movement(.slice(start: 1, count: 2, step: 2))
    case 8: return movement(.resize(to: 7, .linear, .halfPixel, scale: nil))
    case 9:
      return movement(
        .pad(before: 1, after: 2, one(of: [.reflect, .replicate, .zeros, .circular])))
    default:
      let kind = one(of: [Reduction.Kind.mean, .sum, .maximum, .minimum, .euclideanNorm])
      return .reduction(Reduction(kind, axes: [1, 2]))
    }
  }

  /// Several norms and operators in a row, with identities between.
  private mutating func chains() throws {
    let channels = 2 + random.below(3)
    var x = writer.builder.input("x", ValueType([.batch, 4, 5, .fixed(channels)]))
    for step in 0..<3 + random.below(3) {
      switch random.below(7) {
      case 0: x = try norm(x, "in a chain")
      case 5, 6: x = try arithmetic(x)
      case 1:
        let geometry = try sameishGeometry(channels)
        x = try writer.convolution(x, geometry, bias: chance(2), label: "op\(step)")
      case 2: x = try writer.relu(x)
      case 3:
        let type = writer.builder.graph.type(of: x)
        x = try writer.builder.append(.reshape(type.extents), [x], label: "same\(step)")[0]
        kinds["same\(step)"] = "identity"
      default: x = try norm(x, "in a chain")
      }
    }
    finish(x)
    form = "chain"
  }

  // MARK: Parts

  private enum Operator {
    case convolution(ConvolutionGeometry)
    case transposed(ConvolutionGeometry)
    case linear(Int, Int)

    var geometry: ConvolutionGeometry? {
      if case .convolution(let geometry) = self { geometry } else { nil }
    }

    /// The shapes of operand, weight and result; the first extents of operand and result are the batch's.
    var shapes: (x: Shape, weight: Shape, y: Shape) {
      switch self {
      case .convolution(let g):
        (g.inputShape(batch: 1), g.weightShape, g.outputShape(batch: 1))
      case .transposed(let g):
        (g.outputShape(batch: 1), g.weightShape, g.inputShape(batch: 1))
      case .linear(let inputs, let outputs):
        ([1, inputs], [outputs, inputs], [1, outputs])
      }
    }

    func primitive(_ end: Epilogue) -> Primitive {
      switch self {
      case .convolution(let geometry): .convolution(geometry, end)
      case .transposed(let geometry): .transposedConvolution(geometry, end)
      case .linear: .linear(end)
      }
    }

    var name: String {
      switch self {
      case .linear: "linear"
      case .convolution(let geometry):
        "\(geometry.axes.count)-D "
          + (geometry.isDepthwise ? "depthwise" : geometry.groups > 1 ? "grouped" : "dense")
      case .transposed(let geometry):
        "transposed "
          + (geometry.isDepthwise ? "depthwise" : geometry.groups > 1 ? "grouped" : "dense")
      }
    }
  }

  private mutating func randomOperator() throws -> Operator {
    let (groups, inputs, outputs) = one(
      of: [(1, 3, 5), (1, 1, 4), (1, 4, 2), (2, 4, 6), (3, 3, 6), (4, 4, 4), (3, 3, 3)])
    let rank = random.below(4)
    if rank == 0 { return .linear(inputs, outputs) }
    var axes: [SpatialAxis] = []
    if chance(3) {
      for _ in 0..<rank {
        let (window, stride) = (1 + random.below(3), 1 + random.below(2))
        axes.append(
          try .transposed(
            input: 3 + random.below(2), window: window, stride: stride,
            paddingBefore: random.below(2), paddingAfter: random.below(2),
            outputPadding: random.below(stride), dilation: 1 + random.below(2)))
      }
      return .transposed(
        try .transposed(axes: axes, inputChannels: inputs, outputChannels: outputs, groups: groups))
    }
    let isPadded = !chance(3)
    for _ in 0..<rank {
      let window = 1 + random.below(3)
      axes.append(
        try SpatialAxis(
          input: (rank == 3 ? 3 : 4) + random.below(2), window: window, stride: 1 + random.below(2),
          paddingBefore: isPadded ? random.below(window + 1) : 0,
          paddingAfter: isPadded ? random.below(window + 1) : 0,
          dilation: window < 3 ? 1 + random.below(2) : 1))
    }
    return .convolution(
      try ConvolutionGeometry(
        axes: axes, inputChannels: inputs, outputChannels: outputs, groups: groups))
  }

  private mutating func sameishGeometry(_ channels: Int) throws -> ConvolutionGeometry {
    let window = 1 + 2 * random.below(2)
    return try ConvolutionGeometry(
      inputHeight: 4, inputWidth: 5, inputChannels: channels, outputChannels: channels,
      kernel: (window, window), padding: (window / 2, window / 2),
      groups: chance(3) ? channels : 1)
  }

  private mutating func input(_ op: Operator) -> ValueID { input("x", op.shapes.x) }

  /// An input of a shape, with an open batch.
  private mutating func input(_ name: String, _ shape: Shape) -> ValueID {
    writer.builder.input(
      name, ValueType([.batch] + shape.extents.dropFirst().map(Extent.fixed)))
  }

  private mutating func apply(
    _ op: Operator, to x: ValueID, label: String, weight: ValueID? = nil, residual: Bool = false
  ) throws -> ValueID {
    let shapes = op.shapes
    let outputs = shapes.y.channelCount
    let deviation = 1 / Double(shapes.weight.elementCount / outputs).squareRoot()
    let end = Epilogue(
      hasBias: chance(2), hasResidual: residual, activation: residual && chance(2) ? .relu : nil)
    var inputs = [
      x,
      weight
        ?? writer.builder.weight(
          "\(label).weight", writer.numbers(shapes.weight, deviation: deviation)),
    ]
    if end.hasBias {
      inputs.append(writer.builder.weight("\(label).bias", writer.numbers([outputs])))
    }
    if residual { inputs.append(input("\(label).residual", shapes.y)) }
    return try writer.builder.append(op.primitive(end), inputs, label: label)[0]
  }

  /// Arithmetic with a number or one per channel.
  private mutating func arithmetic(_ x: ValueID) throws -> ValueID {
    count += 1
    let label = "arithmetic\(count)"
    let channels = writer.builder.graph.type(of: x).channelCount!
    let shape: Shape = one(of: [[channels], [1], [], [1, 1, channels], [1, 1, 1, 1]])
    let operation = one(of: [Arithmetic.add, .subtract, .multiply, .divide])
    kinds[label] = "\(operation)"
    if chance(6) {
      return try writer.builder.append(.elementwise(.negate), [x], label: label)[0]
    }
    let constant =
      chance(3)
      ? try writer.builder.append(.fill(0.75, [1]), [], label: "constant")[0]
      : writer.builder.weight("\(label).c", writer.source.uniform(shape, from: 0.5, to: 2))
    let isSwapped = operation != .divide && chance(2)
    return try writer.builder.append(
      .arithmetic(operation), isSwapped ? [constant, x] : [x, constant], label: label)[0]
  }

  /// A norm with scales of either sign, some of them 0 now and then, or none.
  private mutating func norm(
    _ x: ValueID, _ kind: String, _ epilogue: Epilogue = Epilogue(), residual: ValueID? = nil,
    hasOffsets: Bool = true, signs: Bool = true
  ) throws -> ValueID {
    count += 1
    let label = "norm\(count)"
    kinds[label] = kind
    let channels = writer.builder.graph.type(of: x).channelCount!
    let mean = hasOffsets ? writer.numbers([channels]) : Tensor(zeros: [channels])
    var inputs = [
      x, writer.builder.weight("\(label).mean", mean, role: .state),
      writer.builder.weight(
        "\(label).variance", writer.source.uniform([channels], from: 0.5, to: 2), role: .state),
    ]
    let isAffine = !chance(4)
    if isAffine {
      var scale = writer.numbers([channels])
      if !signs { for c in 0..<channels { scale[flat: c] = abs(scale[flat: c]) } }
      if chance(4) { scale[flat: random.below(channels)] = 0 }
      inputs.append(writer.builder.weight("\(label).scale", scale))
      let shift = hasOffsets && !chance(4) ? writer.numbers([channels]) : Tensor(zeros: [channels])
      inputs.append(writer.builder.weight("\(label).shift", shift))
    }
    if let residual { inputs.append(residual) }
    let epsilon: Float = one(of: [0, 1e-5, 1e-3, 0.1])
    let normalization = try Normalization(
      statistics: .given, operation: .standardize(epsilon: epsilon),
      recovery: isAffine ? .affine : .none, epilogue: epilogue)
    return try writer.builder.append(.normalization(normalization), inputs, label: label)[0]
  }

  private mutating func finish(_ y: ValueID) { writer.builder.output("y", y) }
}
