import KeelGraph
import KeelTensor

/// Normalizations.
extension GraphImporter {
  func batchNormalization(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let epsilon = try node.float("epsilon", 1e-5)
    let momentum = try node.float("momentum", 0.9)
    let trains = try node.flag("training_mode")
    node.ignore("spatial")
    if node.version < 7 { node.ignore("is_test") }
    // Before version 14 of the operators, further results said that the node trains.
    guard trains || !node.hasOutput(1) else {
      throw node.unsupported("one result of inference", found: "\(node.proto.output.count)")
    }
    let x = try channelsLast(node)
    let affine = [try vector(node, 1), try vector(node, 2)]
    let running = [try vector(node, 3, role: .state), try vector(node, 4, role: .state)]
    let normalization = try Normalization(
      statistics: trains ? .current : .given, operation: .standardize(epsilon: epsilon),
      place: node.place)
    guard trains else {
      return [
        channelsLastResult(
          try append(.normalization(normalization), [x] + running + affine, node.label))
      ]
    }
    let results = try builder.append(
      .normalization(normalization), [x] + affine, label: node.label)
    var values = [channelsLastResult(results[0])]
    guard node.hasOutput(1) || node.hasOutput(2) else { return values }
    let moments = try self.moments(results[1], node)
    // ONNX's momentum is the weight of the old value, and its variance that of the population.
    for (old, new) in zip(running, [moments.mean, moments.variance]) {
      let vector = OrderedValue(try reshape(new, type(old).extents, node.label), order: [0])
      let kept = try apply(.multiply, OrderedValue(old, order: [0]), momentum, node.label)
      let added = try apply(.multiply, vector, 1 - momentum, node.label)
      values.append(.graph(try combine(.add, .graph(kept), .graph(added), node.label)))
    }
    return values
  }

  /// The mean and population variance of a table of moments.
  private func moments(_ table: ValueID, _ node: ONNXNode) throws(KeelError) -> (
    mean: ValueID, variance: ValueID
  ) {
    func row(_ row: Int) throws(KeelError) -> ValueID {
      let whole = [AxisMovement](repeating: .whole, count: type(table).rank - 1)
      return try append(
        .movement(Movement([.slice(start: row, count: 1, step: 1)] + whole)), [table], node.label)
    }
    return (
      try append(
        .add, [try row(MomentsLayout.mean), try row(MomentsLayout.meanResidual)], node.label),
      try append(
        .arithmetic(.divide),
        [try row(MomentsLayout.squaredDeviations), try row(MomentsLayout.count)], node.label)
    )
  }

  func instanceNormalization(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let epsilon = try node.float("epsilon", 1e-5)
    return [try normalized(node, .instance, epsilon)]
  }

  func groupNormalization(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let epsilon = try node.float("epsilon", 1e-5)
    node.ignore("stash_type")
    guard let groups = try node.int("num_groups"), (1...1 << 24).contains(groups) else {
      throw node.unsupported("attribute num_groups from 1", found: "none or another")
    }
    // In version 18 scale and shift belonged to groups.
    let (x, scale) = (extents(try node.input(0)), extents(try node.input(1)))
    guard x.count >= 2, scale == [x[1]] else {
      throw node.unsupported("scale and shift of channels", found: "\(scale)")
    }
    return [try normalized(node, .group(groups), epsilon)]
  }

  /// x with the statistics of a partition, and a scale and a shift of channels.
  private func normalized(
    _ node: ONNXNode, _ partition: Partition, _ epsilon: Float
  ) throws(KeelError) -> ImportedValue {
    let operands = [try channelsLast(node), try vector(node, 1), try vector(node, 2)]
    let normalization = try Normalization(
      partition: partition, statistics: .current, operation: .standardize(epsilon: epsilon),
      place: node.place)
    return channelsLastResult(
      try builder.append(.normalization(normalization), operands, label: node.label)[0])
  }

  func layerNormalization(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let epsilon = try node.float("epsilon", 1e-5)
    node.ignore("stash_type")
    let (y, moments) = try normalizedTail(node, .standardize(epsilon: epsilon))
    guard node.hasOutput(1) || node.hasOutput(2) else { return [y] }
    let statistics = try self.moments(moments, node)
    let axis = try node.axis(try node.int("axis", -1), rank: extents(y).count)
    let kept = extents(y).enumerated().map { $0.offset < axis ? $0.element : 1 }
    let mean = try reshape(statistics.mean, kept, node.label)
    var variance = OrderedValue(
      try reshape(statistics.variance, kept, node.label), order: AxisOrder.plain(kept.count))
    variance = try apply(.add, variance, epsilon, node.label)
    variance = try apply(.elementwise(.squareRoot), variance, node.label)
    return [
      y, plainResult(mean), .graph(try apply(.elementwise(.reciprocal), variance, node.label)),
    ]
  }

  func rmsNormalization(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let epsilon = try node.float("epsilon", 1e-5)
    node.ignore("stash_type")
    return [try normalizedTail(node, .rootMeanSquare(epsilon: epsilon)).y]
  }

  /// x by the statistics of all axes from one on, with the moments.
  private func normalizedTail(
    _ node: ONNXNode, _ operation: Normalization.Operation
  ) throws(KeelError) -> (y: ImportedValue, moments: ValueID) {
    let x = try plain(node)
    let rank = type(x).rank
    let axis = try node.axis(try node.int("axis", -1), rank: rank)
    guard rank >= 2 else {
      throw node.unsupported("an operand of at least two axes", found: "\(type(x))")
    }
    let rows: Partition.Rows =
      axis == 0 ? .all : axis == rank - 1 ? .position : .axes(Array(0..<axis))
    let scale = extents(try node.input(1))
    let isVector = axis == rank - 1 && scale == [type(x).extents[rank - 1]]
    var operands = [x]
    var recovery = Normalization.Recovery.none
    if isVector, node.optional(2).map({ extents($0).count == 1 }) ?? true {
      operands.append(try vector(node, 1))
      if node.optional(2) != nil { operands.append(try vector(node, 2)) }
      recovery = .init(.channels, scale: true, shift: operands.count == 3)
    }
    let normalization = try Normalization(
      partition: Partition(rows: rows, channels: .all), statistics: .current,
      operation: operation, recovery: recovery, place: node.place)
    let results = try builder.append(.normalization(normalization), operands, label: node.label)
    var y = OrderedValue(results[0], order: AxisOrder.plain(rank))
    if recovery == .none {
      y = try combine(.multiply, .graph(y), try node.input(1), node.label)
      if let shift = node.optional(2) { y = try combine(.add, .graph(y), shift, node.label) }
    }
    return (.graph(y), results[1])
  }

  /// x by its L1 or L2 norm along an axis; what is 0 throughout stays 0.
  func lpNormalization(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let p = try node.int("p", 2)
    let x = try ordered(node)
    let axis = try node.axis(try node.int("axis", -1), rank: x.order.count)
    guard p == 1 || p == 2 else { throw node.unsupported("p of 1 or 2", found: "\(p)") }
    let norm = try reduce(
      x, p == 1 ? .absoluteSum : .euclideanNorm, axes: [axis], keeps: true, node.label)
    let floor = try apply(.maximum, norm, .leastNormalMagnitude, node.label)
    return [.graph(try combine(.divide, .graph(x), .graph(floor), node.label))]
  }

  /// (x − mean)/(√variance + 10⁻⁹).
  func meanVarianceNormalization(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let x = try ordered(node)
    let axes = try node.axes(try node.ints("axes") ?? [0, 2, 3], rank: x.order.count)
    let mean = try reduce(x, .mean, axes: axes, keeps: true, node.label)
    let centred = try combine(.subtract, .graph(x), .graph(mean), node.label)
    let square = try apply(.elementwise(.square), centred, node.label)
    var deviation = try reduce(square, .mean, axes: axes, keeps: true, node.label)
    deviation = try apply(.elementwise(.squareRoot), deviation, node.label)
    deviation = try apply(.add, deviation, 1e-9, node.label)
    return [.graph(try combine(.divide, .graph(centred), .graph(deviation), node.label))]
  }

  /// x/(k + α/size·Σ x²)^β, with the sum over neighbouring channels: an average over a window of the channels.
  func localResponseNormalization(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    guard let size = try node.int("size"), (1...1 << 24).contains(size) else {
      throw node.unsupported("attribute size from 1", found: "none or another")
    }
    let (alpha, beta) = (try node.float("alpha", 1e-4), try node.float("beta", 0.75))
    let bias = try node.float("bias", 1)
    let (channels, inputs) = try spatial(node)
    let x = try plain(node)
    let type = type(x)
    let positions = inputs.reduce(1, *)
    let plainOrder = AxisOrder.plain(3)
    let rows = try reshape(
      x, [type.extents[0], .fixed(channels), .fixed(positions)], node.label)
    let square = try apply(.elementwise(.square), OrderedValue(rows, order: plainOrder), node.label)
    let axis = try SpatialAxis(
      input: channels, window: size, paddingBefore: (size - 1) / 2, paddingAfter: size / 2,
      name: "channels", place: node.place)
    let geometry = try PoolingGeometry(
      .average(countsPadding: true), axes: [axis], channels: positions, place: node.place)
    var y = try apply(.pooling(geometry), square, node.label)
    y = try apply(.multiply, y, alpha, node.label)
    y = try apply(.add, y, bias, node.label)
    y = try apply(.power, y, beta, node.label)
    let divisor = OrderedValue(
      try reshape(y.id, type.extents, node.label), order: AxisOrder.plain(type.rank))
    return [.graph(try combine(.divide, try node.input(0), .graph(divisor), node.label))]
  }

  /// Softmax along an axis; before version 13 of the operators over all axes from one on.
  func softmax(_ node: ONNXNode, _ primitive: Primitive) throws(KeelError) -> [ImportedValue] {
    let x = try ordered(node)
    let rank = x.order.count
    let isJoint = node.version < 13
    let axis = try node.axis(try node.int("axis", isJoint ? 1 : -1), rank: rank)
    if isJoint, axis < rank - 1 {
      let plain = try stored(x, AxisOrder.plain(rank), label: node.label)
      let extents = type(plain).extents
      let tail = extents.dropFirst(axis).compactMap(\.fixedValue)
      guard tail.count == rank - axis else {
        throw node.unsupported("known extents from axis \(axis) on", found: "\(type(plain))")
      }
      let rows = Array(extents.prefix(axis)) + [.fixed(tail.reduce(1, *))]
      let y = try append(primitive, [try reshape(plain, rows, node.label)], node.label)
      return [plainResult(try reshape(y, extents, node.label))]
    }
    let order = x.order.filter { $0 != axis } + [axis]
    let last = try stored(x, order, label: node.label)
    return [.graph(OrderedValue(try append(primitive, [last], node.label), order: order))]
  }
}
