internal import KeelGraph
internal import KeelTensor

/// What a convolution with zero padding needs when it takes in a norm before it, and a transposed one,
/// whose borders and phases have other taps each.
///
/// The pad stands behind the norm: a tap in the padding gives 0, but folded weights and bias make
/// something else of a 0 before the norm. A bias alone is right inside and wrong along the border. Two ways
/// are exact:
///
/// - `borderMap`: scaled weights, and what the taps inside the image make of the offsets t added as a map.
///   The map is a residual, computed by a convolution from one channel of ones with weight
///   k[o, tap] = Σ_c weight[o, tap, c]·t[c]. So it fits batches of any extent, works for a = 0, and a plan
///   computes it once, when it is made.
/// - `ownZero`: the input padded with what the norm maps to 0, −t/a, then the folded weights and bias
///   without padding. The vocabulary has no pad with a number per channel; a depthwise convolution of one
///   tap with unit weights does it, whose residual, computed by such a convolution from ones, is −t/a in
///   the padding and 0 inside. It copies the input, which costs what the norm does, and needs
///   a ≠ 0 (or t = 0). It serves where the residual's place is taken. A transposed convolution pads nothing
///   and has no such way.
internal enum PaddedInput: Hashable {
  case borderMap
  case ownZero([Double])

  /// Chooses the way for the operation at a position.
  /// - Throws: `Refusal` where neither can be written down.
  init(
    for consumer: Int, _ map: WeightedMap, _ affine: ChannelAffine, _ state: FoldingState
  ) throws(Refusal) {
    let node = state.editor.nodes[consumer]!
    if node.primitive.epilogue?.hasResidual == false {
      self = .borderMap
    } else if map.isTransposed {
      throw Refusal("\(state.name(consumer)) has other taps at its borders, and a residual already")
    } else if let zeros = affine.zeros {
      self = .ownZero(zeros)
    } else {
      throw Refusal(
        "\(state.name(consumer)) pads with 0, has a residual already, and the norm maps nothing to 0"
      )
    }
  }

  /// What the report adds.
  var description: String {
    switch self {
    case .borderMap: "with a map for the zero padding"
    case .ownZero: "padded with what the norm maps to zero"
    }
  }

  /// The elements of an image that a run touches beside what it would touch anyway.
  func elementsPerImage(_ map: WeightedMap) -> Int {
    switch self {
    case .borderMap: map.outputElements
    case .ownZero: 3 * map.geometry.inputPositions * map.geometry.inputChannels
    }
  }

  /// Changes the operation at a position, whose weights are folded already.
  /// - Parameter sums: what each tap makes of the offsets.
  func add(
    to consumer: Int, _ map: WeightedMap, _ sums: DoubleTensor, _ state: inout FoldingState
  ) {
    switch self {
    case .borderMap: addMap(to: consumer, map, sums, &state)
    case .ownZero(let zeros): pad(consumer, map.geometry, zeros, &state)
    }
  }

  private func addMap(
    to consumer: Int, _ map: WeightedMap, _ sums: DoubleTensor, _ state: inout FoldingState
  ) {
    let geometry = map.geometry
    let node = state.editor.nodes[consumer]!
    let ones = ones(like: node.inputs[0], label: node.label, &state)
    let weight = state.addWeight("\(node.label).border", sums, like: node.inputs[1])
    let single: Primitive =
      map.isTransposed
      ? .transposedConvolution(
        geometry.replacing(
          axes: geometry.axes, inputChannels: map.outputChannels, outputChannels: 1, groups: 1),
        Epilogue())
      : .convolution(
        geometry.replacing(
          axes: geometry.axes, inputChannels: 1, outputChannels: map.outputChannels, groups: 1),
        Epilogue())
    let residual = state.editor.append(
      single, [ones, weight], state.editor.type(of: node.outputs[0]),
      label: "\(node.label).border")
    var epilogue = node.primitive.epilogue!
    epilogue.hasResidual = true
    state.editor.nodes[consumer]!.inputs.append(residual)
    state.editor.nodes[consumer]!.primitive = node.primitive.replacingEpilogue(epilogue)!
  }

  private func pad(
    _ consumer: Int, _ geometry: ConvolutionGeometry, _ zeros: [Double],
    _ state: inout FoldingState
  ) {
    let node = state.editor.nodes[consumer]!
    let channels = geometry.inputChannels
    let label = "\(node.label).pad"
    let padding = geometry.axes.map { $0.padding() }
    let weightShape = Shape([channels] + padding.map { _ in 1 } + [1])
    let type = ValueType(
      [state.editor.type(of: node.inputs[0]).extents[0]] + padding.map { .fixed($0.output) }
        + [.fixed(channels)])
    func vector(_ shape: Shape, _ value: (Int) -> Double) -> DoubleTensor {
      DoubleTensor(uninitialized: shape) { out in for c in out.indices { out[c] = value(c) } }
    }
    let ones = ones(like: node.inputs[0], label: label, &state)
    // 1·(−p) + p is exactly 0 inside.
    let minus = state.addWeight(
      "\(label).border.weight", vector(weightShape) { -zeros[$0] }, like: node.inputs[1])
    let plus = state.addWeight(
      "\(label).border.bias", vector([channels]) { zeros[$0] }, like: node.inputs[1])
    let border = state.editor.append(
      .convolution(
        geometry.replacing(
          axes: padding, inputChannels: 1, outputChannels: channels, groups: 1),
        Epilogue(hasBias: true)), [ones, minus, plus], type, label: "\(label).border")
    let units = state.addWeight(
      "\(label).weight", vector(weightShape) { _ in 1 }, like: node.inputs[1])
    let padded = state.editor.append(
      .convolution(
        geometry.replacing(
          axes: padding, inputChannels: channels, outputChannels: channels, groups: channels),
        Epilogue(hasResidual: true)), [node.inputs[0], units, border], type, label: label)
    let unpadded = geometry.replacing(
      axes: geometry.axes.map { $0.unpadded() }, inputChannels: channels,
      outputChannels: geometry.outputChannels, groups: geometry.groups)
    state.editor.nodes[consumer]!.inputs[0] = padded
    state.editor.nodes[consumer]!.primitive = .convolution(unpadded, node.primitive.epilogue!)
  }

  /// An image of one channel of ones, as large as another image.
  private func ones(like image: ValueID, label: String, _ state: inout FoldingState) -> ValueID {
    let extents = Array(state.editor.type(of: image).extents.dropLast()) + [.fixed(1)]
    return state.editor.append(.fill(1, extents), [], ValueType(extents), label: label)
  }
}

extension ConvolutionGeometry {
  /// A geometry with parts of this one, which has been checked.
  fileprivate func replacing(
    axes: [SpatialAxis], inputChannels: Int, outputChannels: Int, groups: Int
  ) -> ConvolutionGeometry {
    do {
      return try ConvolutionGeometry(
        axes: axes, inputChannels: inputChannels, outputChannels: outputChannels, groups: groups)
    } catch { preconditionFailure("parts of a checked geometry: \(error)") }
  }
}

extension SpatialAxis {
  /// The padding alone: a window of one tap.
  fileprivate func padding() -> SpatialAxis {
    do {
      return try SpatialAxis(
        input: input, window: 1, paddingBefore: paddingBefore, paddingAfter: paddingAfter)
    } catch { preconditionFailure("padding of a checked axis: \(error)") }
  }

  /// The window on an input that is padded already.
  fileprivate func unpadded() -> SpatialAxis {
    do {
      return try SpatialAxis(
        input: input + paddingBefore + paddingAfter, window: window, stride: stride,
        dilation: dilation)
    } catch { preconditionFailure("the window of a checked axis: \(error)") }
  }
}
