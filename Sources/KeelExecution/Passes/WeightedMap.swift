internal import KeelGraph
internal import KeelTensor

/// The weights of a convolution, a transposed one or a linear layer in Double, and what folding does to
/// them.
///
/// All are rows × taps × columns: a convolution Cout × [kD·]kH·kW × Cin/G, a linear layer out × 1 × in.
/// Row r belongs to channel r of one side, its column c to channel q·Cin/G + c of the other with
/// q = ⌊r / (Cout/G)⌋. Rows are the channels of the result, except in transposed convolutions, whose
/// geometry is that of the convolution they transpose: there they are the channels of the operand.
internal struct WeightedMap {
  /// What is computed; a linear layer is the pointwise convolution that it is.
  let geometry: ConvolutionGeometry
  /// Whether it is the transpose of that which is computed.
  let isTransposed: Bool
  /// The weight, in the shape that the operation takes.
  private(set) var weight: DoubleTensor
  /// The bias per output channel.
  var bias: DoubleTensor?

  /// Reads the weights of the operation at a position.
  /// - Returns: nil for operations that have none.
  /// - Throws: `Refusal` where they are not constant numbers of the graph.
  init?(at position: Int, _ state: FoldingState) throws(Refusal) {
    let node = state.editor.nodes[position]!
    let epilogue: Epilogue
    var isTransposed = false
    switch node.primitive {
    case .convolution(let geometry, let end):
      self.geometry = geometry
      epilogue = end
    case .transposedConvolution(let geometry, let end):
      self.geometry = geometry
      epilogue = end
      isTransposed = true
    case .linear(let end):
      let extents = state.editor.type(of: node.inputs[1]).extents.compactMap(\.fixedValue)
      guard extents.count == 2,
        let geometry = try? ConvolutionGeometry.linear(inputs: extents[1], outputs: extents[0])
      else { return nil }
      self.geometry = geometry
      epilogue = end
    default: return nil
    }
    self.isTransposed = isTransposed
    let operands = node.inputs[1..<(epilogue.hasBias ? 3 : 2)]
    let numbers = operands.compactMap { state.numbers($0) }
    guard numbers.count == operands.count else {
      throw Refusal("the weight of \(node.label) is computed")
    }
    guard !operands.contains(where: state.isUpdated) else {
      throw Refusal("the weight of \(node.label) changes after each run")
    }
    weight = numbers[0]
    bias = epilogue.hasBias ? numbers[1] : nil
  }

  /// The channels of the result.
  var outputChannels: Int { isTransposed ? geometry.inputChannels : geometry.outputChannels }
  /// The elements of an image of the result.
  var outputElements: Int {
    outputChannels * (isTransposed ? geometry.inputPositions : geometry.outputPositions)
  }
  /// Multiply-adds per element of the result.
  var multiplyAddsPerElement: Int { geometry.multiplyAddsPerImage / outputElements }
  /// Whether each element of the result is made with all of its taps: whether a constant input gives a
  /// constant result. A transposed convolution has other taps at its borders and at each phase of a stride.
  var usesAllTaps: Bool {
    isTransposed
      ? geometry.axes.allSatisfy { $0.window == 1 && $0.stride == 1 && $0.paddingAfter >= 0 }
      : !geometry.readsPadding
  }

  /// Does a map to the result: weight′ = a·weight along the channels of the result, bias′ = a·bias + t.
  mutating func apply(_ affine: ChannelAffine) {
    multiply(by: affine.factors, alongRows: !isTransposed)
    let old = bias
    bias = DoubleTensor(uninitialized: [affine.count]) { out in
      for o in out.indices {
        out[o] = affine.factors[o] * (old?[flat: o] ?? 0) + affine.offsets[o]
      }
    }
  }

  /// Multiplies each channel of the operand by a factor before the map.
  mutating func scaleInputs(_ factors: [Double]) { multiply(by: factors, alongRows: isTransposed) }

  /// What each tap makes of a constant operand t, in the shape of the weight of the same map from a single
  /// channel without groups: k[o, tap] = Σ_c weight[o, tap, c]·t[q·Cin/G + c]; transposed
  /// k[tap, q·Cin/G + c] = Σ_r weight[r, tap, c]·t[r] over the rows r of group q.
  func tapSums(_ offsets: [Double]) -> DoubleTensor {
    let (taps, columns) = (geometry.tapCount, geometry.inputChannelsPerGroup)
    let rowsPerGroup = geometry.outputChannelsPerGroup
    let windows = geometry.axes.map(\.window)
    let shape = Shape(
      isTransposed ? [1] + windows + [outputChannels] : [outputChannels] + windows + [1])
    return DoubleTensor(uninitialized: shape) { out in
      out.initialize(repeating: 0)
      weight.withSpan { weight in
        for row in 0..<geometry.outputChannels {
          let first = row / rowsPerGroup * columns
          for tap in 0..<taps {
            for c in 0..<columns {
              let w = weight[(row * taps + tap) * columns + c]
              if isTransposed {
                out[tap * outputChannels + first + c] += w * offsets[row]
              } else {
                out[row * taps + tap] += w * offsets[first + c]
              }
            }
          }
        }
      }
    }
  }

  /// The tap sums added up for each channel of the result.
  func totals(_ sums: DoubleTensor) -> [Double] {
    let (taps, outputs) = (geometry.tapCount, outputChannels)
    return (0..<outputs).map { o in
      (0..<taps).reduce(0) { $0 + sums[flat: isTransposed ? $1 * outputs + o : o * taps + $1] }
    }
  }

  /// Adds a number to each output channel.
  mutating func addBias(_ values: [Double]) {
    let old = bias
    bias = DoubleTensor(uninitialized: [outputChannels]) { out in
      for o in out.indices { out[o] = (old?[flat: o] ?? 0) + values[o] }
    }
  }

  /// Changes weights by the element; for `LinearBranch`, which knows where they stand.
  mutating func withWeights(_ body: (inout MutableSpan<Double>) -> Void) {
    weight.withMutableSpan { body(&$0) }
  }

  private mutating func multiply(by factors: [Double], alongRows: Bool) {
    let columns = geometry.inputChannelsPerGroup
    let row = geometry.reductionLength
    let group = row * geometry.outputChannelsPerGroup
    weight.withMutableSpan { weight in
      for i in weight.indices {
        weight[i] *= factors[alongRows ? i / row : i / group * columns + i % columns]
      }
    }
  }
}
