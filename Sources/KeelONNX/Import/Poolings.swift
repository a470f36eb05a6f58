import KeelGraph
import KeelTensor

/// Poolings.
extension GraphImporter {
  /// The operand of a pooling, which may have been padded, the geometry on it, and the window as it is stated.
  private func pooling(
    _ node: ONNXNode, _ kind: PoolingGeometry.Kind, columnMajor: Bool = false
  ) throws(KeelError) -> (x: ValueID, geometry: PoolingGeometry, window: Window) {
    var (channels, inputs) = try spatial(node)
    guard node.has("kernel_shape") else {
      throw node.unsupported("attribute kernel_shape", found: "none")
    }
    var window = try window(node, kernel: [], axes: inputs.count)
    window.resolve(inputs: inputs)
    let stated = window
    let ceilMode = try node.flag("ceil_mode")
    var x = try stored(
      try ordered(node), poolingOrder(inputs.count, columnMajor: columnMajor), label: node.label)
    if columnMajor {
      inputs.reverse()
      window.reverse()
    }
    if !ceilMode { try widen(&x, &inputs, &window, kind, node) }
    let names = SpatialAxes.names(count: inputs.count)
    var axes: [PoolingAxis] = []
    for i in inputs.indices {
      axes.append(
        try PoolingAxis(
          input: inputs[i], window: window.kernel[i], stride: window.strides[i],
          paddingBefore: window.before[i], paddingAfter: window.after[i],
          dilation: window.dilations[i], ceilMode: ceilMode, name: names[i], place: node.place))
    }
    return (
      x, try PoolingGeometry(kind, axes: axes, channels: channels, place: node.place), stated
    )
  }

  /// N, spatial…, C; the spatial axes from the last to the first where indices are to count so.
  private func poolingOrder(_ axes: Int, columnMajor: Bool) -> [Int] {
    let spatial = Array(2..<axes + 2)
    return [0] + (columnMajor ? spatial.reversed() : spatial) + [1]
  }

  /// Pads the operand where the padding is more than half a window, which Keel's poolings refuse: with what
  /// a window takes for nothing.
  private func widen(
    _ x: inout ValueID, _ inputs: inout [Int], _ window: inout Window,
    _ kind: PoolingGeometry.Kind, _ node: ONNXNode
  ) throws(KeelError) {
    let extents = inputs.indices.map { (window.kernel[$0] - 1) * window.dilations[$0] + 1 }
    let isWide = inputs.indices.contains {
      max(window.before[$0], window.after[$0]) * 2 > extents[$0]
    }
    guard isWide else { return }
    let fill: Float = kind == .maximum ? -.infinity : 0
    var axes: [AxisMovement] = [.whole]
    for i in inputs.indices {
      let (before, after) = (window.before[i], window.after[i])
      axes.append(.pad(before: before, after: after, .constant(fill)))
      inputs[i] += before + after
      (window.before[i], window.after[i]) = (0, 0)
    }
    x = try append(.movement(Movement(axes + [.whole])), [x], "\(node.label).padding")
  }

  func maxPool(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let columnMajor = try node.flag("storage_order")
    guard node.hasOutput(1) else {
      let (x, geometry, _) = try pooling(node, .maximum)
      return [channelsLastResult(try append(.pooling(geometry), [x], node.label))]
    }
    let (x, geometry, _) = try pooling(node, .maximum, columnMajor: columnMajor)
    // ONNX counts positions through the whole tensor, Keel through one channel of one image.
    let own = extents(try node.input(0)).dropFirst(2).map { $0 }
    let order = poolingOrder(own.count, columnMajor: columnMajor)
    let inputs = order.dropFirst().dropLast().map { own[$0 - 2] }
    guard inputs == geometry.axes.map({ Extent.fixed($0.input) }), geometry.channels == 1,
      type(x).extents[0] == 1
    else {
      throw node.unsupported("indices of one channel of one image", found: "\(type(x))")
    }
    return try builder.append(.maxPoolingWithIndices(geometry), [x], label: node.label).map {
      .graph(OrderedValue($0, order: order))
    }
  }

  func averagePool(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let counts = try node.flag("count_include_pad")
    let (x, geometry, window) = try pooling(node, .average(countsPadding: counts))
    let y = channelsLastResult(try append(.pooling(geometry), [x], node.label))
    let own = try spatial(node).inputs
    guard !counts, own != geometry.axes.map(\.input) else { return [y] }
    // Zeros that were put around the operand count like others: each average is too small by a known factor.
    var shape: [Int] = []
    var counted = [1.0]
    for (i, axis) in geometry.axes.enumerated() {
      let before = window.before[i]
      try chargeWeight([axis.output, window.kernel[i]], node)
      let taps = (0..<axis.output).map { position in
        Double(
          (0..<window.kernel[i]).count {
            let at = position * window.strides[i] + $0 * window.dilations[i] - before
            return at >= 0 && at < own[i]
          })
      }
      shape.append(axis.output)
      counted = counted.flatMap { outer in taps.map { outer * $0 } }
    }
    try chargeWeight(shape, node)
    let all = Double(window.kernel.reduce(1, *))
    let factors = try Tensor(counted.map { Float(all / $0) }, shape: Shape([1, 1] + shape))
    return [
      .graph(try combine(.multiply, y, .constant(HostTensor(factors), name: nil), node.label))
    ]
  }

  /// (Σ |x|ᵖ)^(1/p).
  func lpPool(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let p = try node.int("p", 2)
    if p == 2 {
      let (x, geometry, _) = try pooling(node, .l2)
      return [channelsLastResult(try append(.pooling(geometry), [x], node.label))]
    }
    let (x, geometry, window) = try pooling(node, .average(countsPadding: true))
    guard p >= 1, !geometry.axes.contains(where: { $0.roundedUp > 0 }) else {
      throw node.unsupported("p of at least 1, and ceil_mode 0 unless it is 2", found: "p \(p)")
    }
    let order = AxisOrder.channelsLast(type(x).rank)
    var y = try apply(.elementwise(.absolute), OrderedValue(x, order: order), node.label)
    if p > 1 { y = try apply(.power, y, Float(p), node.label) }
    y = try apply(.pooling(geometry), y, node.label)
    y = try apply(.multiply, y, Float(window.kernel.reduce(1, *)), node.label)
    if p > 1 { y = try apply(.power, y, 1 / Float(p), node.label) }
    return [.graph(y)]
  }

  /// A reduction over all spatial axes, which stay with extent 1.
  func globalPool(_ node: ONNXNode, _ kind: Reduction.Kind) throws(KeelError) -> [ImportedValue] {
    let x = try ordered(node)
    guard x.order.count >= 3 else {
      throw node.unsupported("an operand N×C×…", found: "\(extents(x))")
    }
    return [.graph(try reduce(x, kind, axes: Array(2..<x.order.count), keeps: true, node.label))]
  }

  func globalLpPool(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let p = try node.int("p", 2)
    guard p == 1 || p == 2 else { throw node.unsupported("p of 1 or 2", found: "\(p)") }
    return try globalPool(node, p == 1 ? .absoluteSum : .euclideanNorm)
  }
}
