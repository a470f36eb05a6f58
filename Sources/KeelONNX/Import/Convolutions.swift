import KeelGraph
import KeelTensor

/// Conv and ConvTranspose.
extension GraphImporter {
  /// The attributes that convolutions and poolings have in common.
  struct Window {
    var kernel: [Int]
    var strides: [Int]
    var dilations: [Int]
    var before: [Int]
    var after: [Int]
    /// SAME_UPPER or SAME_LOWER: the paddings follow from the input.
    var same: Same?

    enum Same { case upper, lower }

    /// Sets the paddings of SAME, so that the output is ⌈input/stride⌉.
    mutating func resolve(inputs: [Int]) {
      guard let same else { return }
      for axis in inputs.indices {
        let output = (inputs[axis] + strides[axis] - 1) / strides[axis]
        let extent = (kernel[axis] - 1) * dilations[axis] + 1
        let total = max(0, (output - 1) * strides[axis] + extent - inputs[axis])
        before[axis] = same == .upper ? total / 2 : total - total / 2
        after[axis] = total - before[axis]
      }
    }

    /// Puts the last axis first.
    mutating func reverse() {
      kernel.reverse()
      strides.reverse()
      dilations.reverse()
      before.reverse()
      after.reverse()
    }
  }

  func window(_ node: ONNXNode, kernel: [Int], axes: Int) throws(KeelError) -> Window {
    func small(_ name: String, _ list: [Int]) throws(KeelError) {
      guard list.allSatisfy({ (0...1 << 24).contains($0) }) else {
        throw node.unsupported("\(name) from 0 to 2²⁴", found: "\(list)")
      }
    }
    let stated = try node.ints("kernel_shape", count: axes, 1)
    let kernel = node.has("kernel_shape") ? stated : kernel
    let strides = try node.ints("strides", count: axes, 1)
    let dilations = try node.ints("dilations", count: axes, 1)
    let pads = try node.ints("pads", count: 2 * axes, 0)
    for (name, list) in [
      ("kernel_shape", kernel), ("strides", strides), ("dilations", dilations), ("pads", pads),
    ] { try small(name, list) }
    guard (kernel + strides + dilations).allSatisfy({ $0 > 0 }) else {
      throw node.unsupported("kernel, strides and dilations above 0", found: "0")
    }
    var window = Window(
      kernel: kernel, strides: strides, dilations: dilations, before: Array(pads.prefix(axes)),
      after: Array(pads.suffix(axes)), same: nil)
    switch try node.string("auto_pad", "NOTSET") {
    case "NOTSET", "": break
    case "VALID":
      window.before = [Int](repeating: 0, count: axes)
      window.after = window.before
    case "SAME_UPPER": window.same = .upper
    case "SAME_LOWER": window.same = .lower
    case let other: throw node.unsupported("auto_pad that ONNX has", found: other)
    }
    return window
  }

  /// The extents of a convolution's weight.
  private func weightExtents(_ node: ONNXNode, axes: Int) throws(KeelError) -> [Int] {
    let extents = extents(try node.input(1))
    let known = extents.compactMap(\.fixedValue)
    guard known.count == extents.count, known.count == axes + 2 else {
      throw node.unsupported("a weight of \(axes + 2) known axes", found: "\(extents)")
    }
    return known
  }

  func convolution(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let (channels, inputs) = try spatial(node)
    let weight = try weightExtents(node, axes: inputs.count)
    var window = try window(node, kernel: Array(weight.dropFirst(2)), axes: inputs.count)
    window.resolve(inputs: inputs)
    guard window.kernel == Array(weight.dropFirst(2)) else {
      throw node.unsupported("a weight of kernel \(window.kernel)", found: "\(weight)")
    }
    let names = SpatialAxes.names(count: inputs.count)
    var axes: [SpatialAxis] = []
    for i in inputs.indices {
      axes.append(
        try SpatialAxis(
          input: inputs[i], window: window.kernel[i], stride: window.strides[i],
          paddingBefore: window.before[i], paddingAfter: window.after[i],
          dilation: window.dilations[i], name: names[i], place: node.place))
    }
    let geometry = try ConvolutionGeometry(
      axes: axes, inputChannels: channels, outputChannels: weight[0],
      groups: try node.int("group", 1), place: node.place)
    return [
      try product(node, order: AxisOrder.channelsLast(weight.count)) {
        .convolution(geometry, $0)
      }
    ]
  }

  /// The node of a weight in Keel's order, and of a bias where there is one.
  private func product(
    _ node: ONNXNode, order: [Int], _ primitive: (Epilogue) -> Primitive
  ) throws(KeelError) -> ImportedValue {
    var operands = [try channelsLast(node), try operand(node, 1, order: order)]
    let hasBias = node.optional(2) != nil
    if hasBias { operands.append(try vector(node, 2)) }
    return channelsLastResult(
      try append(primitive(Epilogue(hasBias: hasBias)), operands, node.label))
  }

  func transposedConvolution(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let (channels, inputs) = try spatial(node)
    let weight = try weightExtents(node, axes: inputs.count)
    var window = try window(node, kernel: Array(weight.dropFirst(2)), axes: inputs.count)
    let groups = try node.int("group", 1)
    var outputPadding = try node.ints("output_padding", count: inputs.count, 0)
    guard outputPadding.allSatisfy({ (0...1 << 24).contains($0) }) else {
      throw node.unsupported("output_padding from 0 to 2²⁴", found: "\(outputPadding)")
    }
    var outputs = try node.ints("output_shape")
    if let stated = outputs, stated.count == inputs.count + 2 {
      outputs = Array(stated.dropFirst(2))
    }
    if outputs == nil, window.same != nil {
      outputs = zip(inputs, window.strides).map { $0 * $1 }
    }
    if let outputs {
      guard outputs.count == inputs.count, outputs.allSatisfy({ (1...1 << 30).contains($0) })
      else {
        throw node.unsupported(
          "output_shape of \(inputs.count) extents", found: "\(outputs)")
      }
      for i in inputs.indices {
        let extent = (window.kernel[i] - 1) * window.dilations[i] + 1
        let full = (inputs[i] - 1) * window.strides[i] + extent
        let total = full + outputPadding[i] - outputs[i]
        if total < 0 {
          outputPadding[i] -= total
          (window.before[i], window.after[i]) = (0, 0)
        } else {
          window.before[i] = window.same == .upper ? total / 2 : total - total / 2
          window.after[i] = total - window.before[i]
        }
      }
    }
    let names = SpatialAxes.names(count: inputs.count)
    var axes: [SpatialAxis] = []
    for i in inputs.indices {
      axes.append(
        try .transposed(
          input: inputs[i], window: window.kernel[i], stride: window.strides[i],
          paddingBefore: window.before[i], paddingAfter: window.after[i],
          outputPadding: outputPadding[i], dilation: window.dilations[i], name: names[i],
          place: node.place))
    }
    guard weight[0] == channels, (1...1 << 24).contains(groups) else {
      throw node.unsupported("a weight of \(channels) input channels", found: "\(weight)")
    }
    let geometry = try ConvolutionGeometry.transposed(
      axes: axes, inputChannels: channels, outputChannels: weight[1] * groups, groups: groups,
      place: node.place)
    return [
      try product(node, order: AxisOrder.channelsLast(weight.count)) {
        .transposedConvolution(geometry, $0)
      }
    ]
  }
}
