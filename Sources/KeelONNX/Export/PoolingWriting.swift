import KeelGraph
import KeelTensor

/// Poolings.
extension GraphExporter {
  func pooling(_ node: Node, _ geometry: PoolingGeometry) -> WrittenValue {
    let x = operand(node, 0)
    let type = graph.type(of: node.outputs[0])
    guard isEven(geometry) else { return binned(x, geometry) }
    let order = AxisOrder.channelsFirst(type.rank)
    if geometry.axes.allSatisfy({ $0.window == nil && $0.output == 1 }) {
      let norm: [ONNXAttributeProto] = geometry.kind == .l2 ? [.int("p", 2)] : []
      return WrittenValue(
        emit(geometry.kind.globalName, [name(x, in: order)], norm)[0], order: order, type)
    }
    let (source, pads) = padded(x, geometry)
    var attributes = window(geometry, pads: pads)
    switch geometry.kind {
    case .maximum: break
    case .average(let counts):
      attributes.append(.int("count_include_pad", counts && !needsPadding(geometry) ? 1 : 0))
    case .l2: attributes.append(.int("p", 2))
    }
    return WrittenValue(
      emit(geometry.kind.operatorName, [name(source, in: order)], attributes)[0], order: order,
      type)
  }

  /// Whether all bins of an axis have one size.
  private func isEven(_ geometry: PoolingGeometry) -> Bool {
    geometry.axes.allSatisfy { $0.evenWindow != nil }
  }

  func refusal(of geometry: PoolingGeometry, indices: Bool) -> String? {
    guard isEven(geometry) else {
      if indices { return "indices in bins of several sizes" }
      return geometry.axes.contains { $0.window != nil } ? "bins of several sizes and windows" : nil
    }
    guard needsPadding(geometry) else { return nil }
    if indices { return "indices with padding of a window or more" }
    return geometry.kind == .average(countsPadding: false)
      ? "padding of a window or more that does not count" : nil
  }

  private func window(_ geometry: PoolingGeometry, pads: [Int]) -> [ONNXAttributeProto] {
    let windows = geometry.axes.map { $0.evenWindow! }
    let ceil: [ONNXAttributeProto] = roundsUp(geometry) ? [.int("ceil_mode", 1)] : []
    return [
      .ints("kernel_shape", windows.map(\.window)), .ints("strides", windows.map(\.stride)),
      .ints("pads", pads), .ints("dilations", windows.map(\.dilation)),
    ] + ceil
  }

  /// Whether ceil_mode gives the sizes: an axis is rounded up, and no other would be that is not.
  private func roundsUp(_ geometry: PoolingGeometry) -> Bool {
    geometry.axes.contains { $0.roundedUp > 0 }
      && geometry.axes.allSatisfy { axis in
        guard axis.roundedUp == 0, let window = axis.evenWindow else { return true }
        let room = window.input + window.paddingBefore + window.paddingAfter - window.extent
        return room % window.stride == 0
      }
  }

  /// What is left of the paddings behind where `padded` made a node of others: what a last window reaches over
  /// them, unless ceil_mode says so.
  private func overhang(_ geometry: PoolingGeometry) -> [Int] {
    geometry.axes.map { roundsUp(geometry) ? 0 : $0.roundedUp }
  }

  private func pads(_ geometry: PoolingGeometry) -> [Int] {
    let windows = geometry.axes.map { $0.evenWindow! }
    let after = zip(geometry.axes, windows).map { $1.paddingAfter - $0.roundedUp }
    return windows.map(\.paddingBefore) + zip(after, overhang(geometry)).map { $0 + $1 }
  }

  /// Whether paddings must become a node of their own: those of a window or more, which runtimes refuse, and those
  /// that count in an average next to such that do not.
  private func needsPadding(_ geometry: PoolingGeometry) -> Bool {
    let windows = geometry.axes.map { $0.evenWindow!.window }
    let counts = geometry.kind == .average(countsPadding: true)
    return zip(pads(geometry), windows + windows).contains { $0 >= $1 }
      || (counts && geometry.axes.contains { $0.roundedUp > 0 })
  }

  /// The operand, padded where that is needed, and the paddings that are left.
  private func padded(_ x: WrittenValue, _ geometry: PoolingGeometry) -> (WrittenValue, [Int]) {
    guard needsPadding(geometry) else { return (x, pads(geometry)) }
    let fill: Float = geometry.kind == .maximum ? -.infinity : 0
    var axes: [AxisMovement] = [.whole]
    var type = x.type
    for (k, axis) in geometry.axes.enumerated() {
      let window = axis.evenWindow!
      let after = window.paddingAfter - axis.roundedUp
      axes.append(.pad(before: window.paddingBefore, after: after, .constant(fill)))
      type.extents[k + 1] = .fixed(window.input + window.paddingBefore + after)
    }
    let y = moved(x, Movement(axes + [.whole]), type)
    return (y, geometry.axes.map { _ in 0 } + overhang(geometry))
  }

  /// Bins of several sizes: along each axis the parts of an operand, each reduced to one.
  private func binned(_ x: WrittenValue, _ geometry: PoolingGeometry) -> WrittenValue {
    var y = x
    for (k, axis) in geometry.axes.enumerated() {
      let parts = (0..<axis.output).map { position in
        let taps = axis.taps(of: position)
        let bin = sliced(y, axis: k + 1, start: taps.first, count: taps.count)
        return reduce(geometry.kind.reductionName, bin, axes: [k + 1], keeps: true)
      }
      var type = y.type
      type.extents[k + 1] = .fixed(axis.output)
      y = concatenated(parts, axis: k + 1, type)
    }
    return y
  }

  /// MaxPool with the positions that it counts through the whole tensor, N×C×…, counted within an image of one
  /// channel.
  func maxPoolingWithIndices(_ node: Node, _ geometry: PoolingGeometry) -> [WrittenValue] {
    guard isTaken(node.outputs[1]) else { return [pooling(node, geometry)] }
    let types = node.outputs.map(graph.type(of:))
    let order = AxisOrder.channelsFirst(types[0].rank)
    let names = emit(
      "MaxPool", [name(operand(node, 0), in: order)], window(geometry, pads: pads(geometry)),
      results: 2)
    var positions = names[1]
    if geometry.channels > 1 || types[0].extents[0] != 1 {
      let count = integers([geometry.inputPositions], isScalar: true)
      positions = emit("Mod", [positions, count])[0]
    }
    return [
      WrittenValue(names[0], order: order, types[0]),
      WrittenValue(positions, order: order, types[1]),
    ]
  }
}

extension PoolingGeometry.Kind {
  fileprivate var operatorName: String {
    switch self {
    case .maximum: "MaxPool"
    case .average: "AveragePool"
    case .l2: "LpPool"
    }
  }

  fileprivate var globalName: String {
    switch self {
    case .maximum: "GlobalMaxPool"
    case .average: "GlobalAveragePool"
    case .l2: "GlobalLpPool"
    }
  }

  fileprivate var reductionName: String {
    switch self {
    case .maximum: "ReduceMax"
    case .average: "ReduceMean"
    case .l2: "ReduceL2"
    }
  }
}
