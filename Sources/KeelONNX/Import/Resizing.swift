import KeelGraph
import KeelTensor

/// Resize, Upsample, DepthToSpace and SpaceToDepth.
extension GraphImporter {
  func resize(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let x = try ordered(node)
    let rank = x.order.count
    let axes = try node.axes(try node.ints("axes") ?? Array(0..<rank), rank: rank)
    var requests: [ResizedAxis] = []
    let sizes = try sizes(node, x, axes, &requests)
    if let (kind, coordinates, pytorch) = try interpolation(node) {
      node.ignore("extrapolation_value", "cubic_coeff_a")
      if let scales = sizes.scales {
        return [
          try resized(node, x, axes, scales: scales, kind, coordinates, pytorch: pytorch)
        ]
      }
      if !sizes.keepsAspect {
        var movement = [AxisMovement](repeating: .whole, count: rank)
        for request in requests {
          movement[x.position(ofAxis: request.axis)] = .resize(
            to: request.size, kind, pytorch && request.size == 1 ? .asymmetric : coordinates,
            scale: nil)
        }
        return [try moved(x, movement, node)]
      }
    }
    let outside = try node.float("extrapolation_value", 0)
    return [
      try resampled(node, x, requests, try resampling(node), outside: outside)
    ]
  }

  /// The scales, or the sizes, of a Resize; as requests, both.
  private func sizes(
    _ node: ONNXNode, _ x: OrderedValue, _ axes: [Int], _ requests: inout [ResizedAxis]
  ) throws(KeelError) -> (scales: [Float]?, keepsAspect: Bool) {
    let policy = try node.string("keep_aspect_ratio_policy", "stretch")
    guard ["stretch", "not_larger", "not_smaller"].contains(policy) else {
      throw node.unsupported("keep_aspect_ratio_policy that ONNX has", found: policy)
    }
    var crop = [Double](repeating: 0, count: axes.count) + .init(repeating: 1, count: axes.count)
    let crops = try node.string("coordinate_transformation_mode", "") == "tf_crop_and_resize"
    if node.version >= 11, crops, let roi = try node.optionalConstant(1, "a region") {
      crop = try roi.doubles(at: node.place)
      guard crop.count == 2 * axes.count else {
        throw node.unsupported("a region of \(2 * axes.count) numbers", found: "\(crop)")
      }
    }
    func request(_ k: Int, size: Int, scale: Double) throws(KeelError) {
      let cut = (crop[k], crop[k + axes.count])
      if scale == 1, cut == (0, 1) { return }
      requests.append(ResizedAxis(axis: axes[k], size: size, scale: scale, crop: cut))
    }
    let position = node.version < 11 ? 1 : 2
    if let scales = try node.optionalConstant(position, "scales"), scales.count > 0 {
      let list = try scales.floats(at: node.place).elements
      guard list.count == axes.count, list.allSatisfy({ $0 > 0 && $0 < 0x1p20 }) else {
        throw node.unsupported("\(axes.count) scales above 0 and below 2²⁰", found: "\(list)")
      }
      for (k, scale) in list.enumerated() where scale != 1 || crops {
        let length = Double(try known(node, x, axis: axes[k])) * Double(scale)
        try request(k, size: Int(length.rounded(.down)), scale: Double(scale))
      }
      return (list, false)
    }
    guard node.version >= 11, let sizes = try node.optionalConstant(3, "sizes") else {
      throw node.unsupported("scales or sizes", found: "neither")
    }
    let list = try sizes.extentList(at: node.place)
    guard list.count == axes.count else {
      throw node.unsupported("\(axes.count) sizes", found: "\(list)")
    }
    let own = extents(x)
    var changes: [(k: Int, size: Int, scale: Double)] = []
    for (k, size) in list.enumerated() where size != own[axes[k]] || crops || policy != "stretch" {
      let input = try known(node, x, axis: axes[k])
      guard let size = size.fixedValue, (1...1 << 30).contains(size) else {
        throw node.unsupported("known sizes of at least 1", found: "\(size)")
      }
      changes.append((k, size, Double(size) / Double(input)))
    }
    if policy != "stretch" {
      let scales = changes.map(\.scale)
      let scale = (policy == "not_larger" ? scales.min() : scales.max()) ?? 1
      for i in changes.indices {
        let length = scale * Double(try known(node, x, axis: axes[changes[i].k]))
        changes[i] = (changes[i].k, Int((length + 0.5).rounded(.down)), scale)
      }
    }
    for change in changes { try request(change.k, size: change.size, scale: change.scale) }
    return (nil, policy != "stretch")
  }

  /// How Resize makes elements, where Keel has a movement for it.
  private func interpolation(_ node: ONNXNode) throws(KeelError) -> (
    Interpolation, ResizeCoordinates, pytorch: Bool
  )? {
    let mode = try node.string("mode", "nearest")
    let rule = try node.string("nearest_mode", "round_prefer_floor")
    let kind: Interpolation
    switch (mode, rule) {
    case ("linear", _): kind = .linear
    case ("nearest", _) where node.version < 11: kind = .nearest(.down)
    case ("nearest", "round_prefer_floor"): kind = .nearest(.halfDown)
    case ("nearest", "round_prefer_ceil"): kind = .nearest(.halfUp)
    case ("nearest", "floor"): kind = .nearest(.down)
    case ("nearest", "ceil"): kind = .nearest(.up)
    case ("cubic", _): return nil
    default: throw node.unsupported("a mode that ONNX has", found: "\(mode), \(rule)")
    }
    if try node.flag("antialias"), mode != "nearest" { return nil }
    if try node.flag("exclude_outside") { return nil }
    switch try coordinates(node) {
    case "half_pixel": return (kind, .halfPixel, false)
    case "pytorch_half_pixel": return (kind, .halfPixel, true)
    case "align_corners": return (kind, .alignCorners, false)
    case "asymmetric": return (kind, .asymmetric, false)
    default: return nil
    }
  }

  private func coordinates(_ node: ONNXNode) throws(KeelError) -> String {
    let name = try node.string(
      "coordinate_transformation_mode", node.version < 11 ? "asymmetric" : "half_pixel")
    let known = [
      "half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric",
      "tf_crop_and_resize",
    ]
    guard known.contains(name) else {
      throw node.unsupported("coordinates that ONNX has", found: name)
    }
    return name
  }

  /// How Resize makes elements where Keel has no movement for it.
  private func resampling(_ node: ONNXNode) throws(KeelError) -> Resampling {
    let rule = try node.string("nearest_mode", "round_prefer_floor")
    let a = Double(try node.float("cubic_coeff_a", -0.75))
    let kernel: Resampling.Kernel =
      switch try node.string("mode", "nearest") {
      case "linear": .linear
      case "cubic": .cubic(a: a)
      default: .nearest(rule: rule)
      }
    return Resampling(
      kernel: kernel, coordinates: try coordinates(node), antialias: try node.flag("antialias"),
      excludesOutside: try node.flag("exclude_outside"))
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
