import KeelGraph
import KeelTensor

/// Resize, Upsample, DepthToSpace and SpaceToDepth.
extension GraphImporter {
  /// How Resize makes elements.
  private func interpolation(_ node: ONNXNode) throws(KeelError) -> (
    Interpolation, ResizeCoordinates, pytorch: Bool
  ) {
    let mode = try node.string("mode", "nearest")
    let rule = try node.string("nearest_mode", "round_prefer_floor")
    let coordinates = try node.string(
      "coordinate_transformation_mode", node.version < 11 ? "asymmetric" : "half_pixel")
    _ = try node.float("cubic_coeff_a")
    guard try !node.flag("antialias"), try !node.flag("exclude_outside") else {
      throw node.unsupported("antialias 0 and exclude_outside 0", found: "1")
    }
    let kind: Interpolation
    switch (mode, rule) {
    case ("linear", _): kind = .linear
    case ("nearest", _) where node.version < 11: kind = .nearest(.down)
    case ("nearest", "round_prefer_floor"): kind = .nearest(.halfDown)
    case ("nearest", "round_prefer_ceil"): kind = .nearest(.halfUp)
    case ("nearest", "floor"): kind = .nearest(.down)
    case ("nearest", "ceil"): kind = .nearest(.up)
    default: throw node.unsupported("mode nearest or linear", found: "\(mode), \(rule)")
    }
    switch coordinates {
    case "half_pixel": return (kind, .halfPixel, false)
    case "pytorch_half_pixel": return (kind, .halfPixel, true)
    case "align_corners": return (kind, .alignCorners, false)
    case "asymmetric": return (kind, .asymmetric, false)
    default:
      throw node.unsupported(
        "coordinates half_pixel, pytorch_half_pixel, align_corners or asymmetric",
        found: coordinates)
    }
  }

  func resize(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let (kind, coordinates, pytorch) = try interpolation(node)
    node.ignore("extrapolation_value")
    let x = try ordered(node)
    let rank = x.order.count
    let axes = try node.axes(try node.ints("axes") ?? Array(0..<rank), rank: rank)
    let policy = try node.string("keep_aspect_ratio_policy", "stretch")
    guard policy == "stretch" else {
      throw node.unsupported("keep_aspect_ratio_policy stretch", found: policy)
    }
    let position = node.version < 11 ? 1 : 2
    if let scales = try node.optionalConstant(position, "scales"), scales.count > 0 {
      let scales = try scales.floats(at: node.place).elements
      return [
        try resized(node, x, axes, scales: scales, kind, coordinates, pytorch: pytorch)
      ]
    }
    guard node.version >= 11, let sizes = try node.optionalConstant(3, "sizes") else {
      throw node.unsupported("scales or sizes", found: "neither")
    }
    let list = try sizes.extentList(at: node.place)
    guard list.count == axes.count else {
      throw node.unsupported("\(axes.count) sizes", found: "\(list)")
    }
    var movement = [AxisMovement](repeating: .whole, count: rank)
    let own = extents(x)
    for (axis, size) in zip(axes, list) where size != own[axis] {
      _ = try known(node, x, axis: axis)
      guard let size = size.fixedValue else {
        throw node.unsupported("known sizes", found: "\(size)")
      }
      movement[x.position(ofAxis: axis)] = .resize(
        to: size, kind, pytorch && size == 1 ? .asymmetric : coordinates, scale: nil)
    }
    return [try moved(x, movement, node)]
  }

  /// Upsample, which came before Resize.
  func upsample(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let mode = try node.string("mode", "nearest")
    guard mode == "nearest" || mode == "linear" || mode == "bilinear" else {
      throw node.unsupported("mode nearest or linear", found: mode)
    }
    let x = try ordered(node)
    var scales = try node.floats("scales") ?? []
    if scales.isEmpty {
      scales = try node.constant(1, "scales").floats(at: node.place).elements
    }
    return [
      try resized(
        node, x, Array(0..<x.order.count), scales: scales,
        mode == "nearest" ? .nearest(.down) : .linear, .asymmetric, pytorch: false)
    ]
  }

  private func resized(
    _ node: ONNXNode, _ x: OrderedValue, _ axes: [Int], scales: [Float], _ kind: Interpolation,
    _ coordinates: ResizeCoordinates, pytorch: Bool
  ) throws(KeelError) -> ImportedValue {
    guard scales.count == axes.count, scales.allSatisfy({ $0 > 0 && $0 < 0x1p20 }) else {
      throw node.unsupported("\(axes.count) scales above 0 and below 2²⁰", found: "\(scales)")
    }
    var movement = [AxisMovement](repeating: .whole, count: x.order.count)
    for (axis, scale) in zip(axes, scales) where scale != 1 {
      let extent = try known(node, x, axis: axis)
      let length = Double(extent) * Double(scale)
      let size = Int(length.rounded(.down))
      if coordinates == .alignCorners, length != Double(size), length > 1, extent > 1 {
        // ONNX's last element is that of the length before it was rounded down.
        movement[x.position(ofAxis: axis)] = .resize(
          to: size, kind, .asymmetric, scale: Double(extent - 1) / (length - 1))
        continue
      }
      movement[x.position(ofAxis: axis)] = .resize(
        to: size, kind, pytorch && size == 1 ? .asymmetric : coordinates,
        scale: 1 / Double(scale))
    }
    return try moved(x, movement, node)
  }

  private func moved(
    _ x: OrderedValue, _ movement: [AxisMovement], _ node: ONNXNode
  ) throws(KeelError) -> ImportedValue {
    if movement.allSatisfy({ $0 == .whole }) { return .graph(x) }
    return .graph(try apply(.movement(Movement(movement)), x, node.label))
  }

  /// The block of DepthToSpace and SpaceToDepth, and the extents of the operand.
  private func block(_ node: ONNXNode) throws(KeelError) -> (Int, Extent, [Int]) {
    let (channels, inputs) = try spatial(node)
    guard let block = try node.int("blocksize"), (1..<1 << 15).contains(block),
      inputs.count == 2
    else {
      throw node.unsupported("images and a blocksize from 1", found: "others")
    }
    return (block, extents(try node.input(0))[0], [channels] + inputs)
  }

  func depthToSpace(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let (block, batch, extents) = try block(node)
    let mode = try node.string("mode", "DCR")
    guard extents[0] % (block * block) == 0, mode == "DCR" || mode == "CRD" else {
      throw node.unsupported(
        "channels divisible by \(block * block), mode DCR or CRD", found: "\(extents[0]), \(mode)")
    }
    let (b, c) = (block, extents[0] / (block * block))
    let (h, w) = (extents[1], extents[2])
    let split = mode == "DCR" ? [b, b, c, h, w] : [c, b, b, h, w]
    let permutation = mode == "DCR" ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3]
    return [
      try rearranged(
        node, [batch] + split.map(Extent.fixed), permutation,
        [batch] + [c, h * b, w * b].map(Extent.fixed))
    ]
  }

  func spaceToDepth(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let (b, batch, extents) = try block(node)
    let (c, h, w) = (extents[0], extents[1], extents[2])
    let mode = try node.string("mode", "DCR")
    guard h % b == 0, w % b == 0, mode == "DCR" || mode == "CRD" else {
      throw node.unsupported("extents divisible by \(b), mode DCR or CRD", found: "\(extents)")
    }
    let permutation = mode == "DCR" ? [0, 3, 5, 1, 2, 4] : [0, 1, 3, 5, 2, 4]
    return [
      try rearranged(
        node, [batch] + [c, h / b, b, w / b, b].map(Extent.fixed), permutation,
        [batch] + [c * b * b, h / b, w / b].map(Extent.fixed))
    ]
  }

  /// A reshape, a change of the order and another reshape.
  private func rearranged(
    _ node: ONNXNode, _ split: [Extent], _ permutation: [Int], _ joined: [Extent]
  ) throws(KeelError) -> ImportedValue {
    var x = try reshaped(try ordered(node), to: split, node.label)
    let inverse = AxisOrder.inverse(permutation)
    x.order = x.order.map { inverse[$0] }
    return .graph(try reshaped(x, to: joined, node.label))
  }
}
