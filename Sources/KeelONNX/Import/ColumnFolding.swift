import KeelGraph
import KeelTensor

/// Col2Im.
extension GraphImporter {
  /// N×(C·block)×positions → N×C×image, each element the sum of those that a window took from its place: a
  /// transposed convolution in groups of a channel, whose weight puts row t of a block at tap t.
  func columnsToImage(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let image = try node.constant(1, "the image's extents").integers(at: node.place)
    let block = try node.constant(2, "a block").integers(at: node.place)
    let x = try ordered(node)
    let own = extents(x)
    guard (1...3).contains(image.count), block.count == image.count, own.count == 3,
      (image + block).allSatisfy({ (1...1 << 24).contains($0) }),
      let rows = own[1].fixedValue, let columns = own[2].fixedValue
    else {
      throw node.unsupported(
        "N×rows×columns, and image and block of 1 to 3 extents", found: "\(own), \(image), \(block)"
      )
    }
    let window = try window(node, kernel: block, axes: image.count)
    let taps = try HostTensor.checkedCount(block, at: node.place)
    let positions = image.indices.map { i in
      let extent = window.dilations[i] * (block[i] - 1) + 1
      return (image[i] + window.before[i] + window.after[i] - extent) / window.strides[i] + 1
    }
    guard positions.allSatisfy({ $0 >= 1 }), positions.reduce(1, *) == columns, rows % taps == 0
    else {
      throw node.unsupported(
        "rows in blocks of \(taps), columns for \(positions) windows", found: "\(rows)×\(columns)")
    }
    let names = SpatialAxes.names(count: image.count)
    var axes: [SpatialAxis] = []
    for i in image.indices {
      let full = (positions[i] - 1) * window.strides[i] + window.dilations[i] * (block[i] - 1) + 1
      axes.append(
        try .transposed(
          input: positions[i], window: block[i], stride: window.strides[i],
          paddingBefore: window.before[i], paddingAfter: window.after[i],
          outputPadding: image[i] - (full - window.before[i] - window.after[i]),
          dilation: window.dilations[i], name: names[i], place: node.place))
    }
    let geometry = try ConvolutionGeometry.transposed(
      axes: axes, inputChannels: rows, outputChannels: rows / taps, groups: rows / taps,
      place: node.place)
    try chargeWeight([rows] + block, node)
    let weight = try weight(
      "\(node.label).taps", key: "taps \(node.label)", role: .state
    ) {
      Tensor(uninitialized: Shape([rows] + block + [1])) { out in
        for i in out.indices { out[i] = i % taps == i / taps % taps ? 1 : 0 }
      }
    }
    let parts = try reshaped(x, to: [own[0], own[1]] + positions.map(Extent.fixed), node.label)
    let images = try stored(
      parts, AxisOrder.channelsLast(parts.order.count), label: node.label)
    return [
      channelsLastResult(
        try append(.transposedConvolution(geometry, Epilogue()), [images, weight], node.label))
    ]
  }
}
