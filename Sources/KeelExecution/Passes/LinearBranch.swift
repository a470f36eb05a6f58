internal import KeelGraph
internal import KeelTensor

/// A value as a linear map of another one: what parallel branches have to be to become one convolution.
internal struct LinearBranch {
  /// What is mapped.
  let source: ValueID
  /// The operation, or nil for a value that stands for itself.
  let position: Int?
  /// The window and channels; of one tap and a group per channel for norms and values themselves.
  let geometry: ConvolutionGeometry
  /// The weight, as a convolution of that geometry has it.
  let weight: DoubleTensor
  /// The bias per output channel.
  let bias: DoubleTensor?
  /// The weights of an operation that can take other branches in.
  let map: WeightedMap?

  /// The number of taps.
  var tapCount: Int { geometry.tapCount }

  /// A value as the result of a convolution, linear layer or norm that nothing else takes; nil where it is
  /// none.
  init?(resultOf value: ValueID, _ state: FoldingState) {
    guard state.hasOneConsumer(value), let position = state.editor.producer(of: value),
      let node = state.editor.nodes[position], node.outputs == [value],
      (node.primitive.epilogue ?? Epilogue()).isLinear
    else { return nil }
    self.position = position
    if let map = try? WeightedMap(at: position, state) {
      guard !map.isTransposed else { return nil }
      source = node.inputs[0]
      (geometry, weight, bias, self.map) = (map.geometry, map.weight, map.bias, map)
      return
    }
    guard let step = try? AffineStep(at: position, state),
      let geometry = Self.elementwiseGeometry(state.editor.type(of: value))
    else { return nil }
    source = step.input
    self.geometry = geometry
    weight = Self.vector(step.affine.factors)
    bias = Self.vector(step.affine.offsets)
    map = nil
  }

  /// A value as itself: a depthwise convolution of one tap with weight 1.
  init?(itself value: ValueID, _ state: FoldingState) {
    guard let geometry = Self.elementwiseGeometry(state.editor.type(of: value)) else { return nil }
    source = value
    position = nil
    self.geometry = geometry
    weight = Self.vector(Array(repeating: 1, count: geometry.inputChannels))
    bias = nil
    map = nil
  }

  private static func elementwiseGeometry(_ type: ValueType) -> ConvolutionGeometry? {
    let extents = type.extents.dropFirst().compactMap(\.fixedValue)
    guard type.elementType == .float32, extents.count == type.rank - 1, let channels = extents.last
    else { return nil }
    let sizes = extents.count == 1 ? [1, 1] : Array(extents.dropLast())
    return try? ConvolutionGeometry(
      axes: sizes.map { try SpatialAxis(input: $0, window: 1) }, inputChannels: channels,
      outputChannels: channels, groups: channels)
  }

  private static func vector(_ values: [Double]) -> DoubleTensor {
    DoubleTensor(uninitialized: [values.count]) { out in
      for c in out.indices { out[c] = values[c] }
    }
  }

  /// The weights of this branch with another one added: each tap of the other lies on one of this one's
  /// taps, each of its groups within one of this one's.
  /// - Returns: nil where windows, strides or groups do not fit.
  func absorbing(_ other: LinearBranch) -> WeightedMap? {
    guard var map, source == other.source,
      geometry.inputChannels == other.geometry.inputChannels,
      geometry.outputChannels == other.geometry.outputChannels,
      other.geometry.groups.isMultiple(of: geometry.groups), let taps = tapPositions(of: other)
    else { return nil }
    let (mine, its) = (geometry.inputChannelsPerGroup, other.geometry.inputChannelsPerGroup)
    map.withWeights { weights in
      for o in 0..<geometry.outputChannels {
        let first =
          o / other.geometry.outputChannelsPerGroup * its
          - o / geometry.outputChannelsPerGroup * mine
        for (tap, position) in taps.enumerated() {
          for c in 0..<its {
            weights[(o * tapCount + position) * mine + first + c] +=
              other.weight[flat: (o * taps.count + tap) * its + c]
          }
        }
      }
    }
    if let bias = other.bias { map.addBias(bias.elements) }
    return map
  }

  /// For each tap of another window the tap of this one that reads the same position; nil where one has
  /// none.
  private func tapPositions(of other: LinearBranch) -> [Int]? {
    guard geometry.axes.count == other.geometry.axes.count else { return nil }
    var positions = [0]
    for (mine, its) in zip(geometry.axes, other.geometry.axes) {
      guard mine.input == its.input, mine.output == its.output,
        mine.stride == its.stride || mine.output == 1
      else { return nil }
      var along: [Int] = []
      for u in 0..<its.window {
        let offset = u * its.dilation - its.paddingBefore + mine.paddingBefore
        guard offset >= 0, offset.isMultiple(of: mine.dilation),
          offset / mine.dilation < mine.window
        else { return nil }
        along.append(offset / mine.dilation)
      }
      positions = positions.flatMap { outer in along.map { outer * mine.window + $0 } }
    }
    return positions
  }
}

extension Epilogue {
  /// Whether nothing but a bias is in it.
  fileprivate var isLinear: Bool { !hasResidual && activation == nil }
}
