internal import KeelGraph
internal import KeelTensor

/// The weights of a convolution or linear layer in Double, and what folding does to them.
///
/// Both are rows × taps × columns: a convolution Cout × [kD·]kH·kW × Cin/G, a linear layer out × 1 × in.
/// Row o belongs to output channel o, its column c to input channel q·Cin/G + c with q = ⌊o / (Cout/G)⌋.
internal struct WeightedMap {
  /// What is computed; a linear layer is the pointwise convolution that it is.
  let geometry: ConvolutionGeometry
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
    switch node.primitive {
    case .convolution(let geometry, let end):
      self.geometry = geometry
      epilogue = end
    case .linear(let end):
      let extents = state.editor.type(of: node.inputs[1]).extents.compactMap(\.fixedValue)
      guard extents.count == 2,
        let geometry = try? ConvolutionGeometry.linear(inputs: extents[1], outputs: extents[0])
      else { return nil }
      self.geometry = geometry
      epilogue = end
    default: return nil
    }
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

  /// Does a map to the result: weight′[o, …] = a[o]·weight[o, …], bias′ = a·bias + t.
  mutating func apply(_ affine: ChannelAffine) {
    let length = weight.count / affine.count
    Self.multiply(&weight) { affine.factors[$0 / length] }
    let old = bias
    bias = DoubleTensor(uninitialized: [affine.count]) { out in
      for o in out.indices {
        out[o] = affine.factors[o] * (old?[flat: o] ?? 0) + affine.offsets[o]
      }
    }
  }

  /// Multiplies each input channel by a factor before the map: weight′[o, …, c] = weight[o, …, c]·a[c of
  /// its group].
  mutating func scaleInputs(_ factors: [Double]) {
    let columns = geometry.inputChannelsPerGroup
    let perGroup = geometry.outputChannelsPerGroup * geometry.reductionLength
    Self.multiply(&weight) { factors[$0 / perGroup * columns + $0 % columns] }
  }

  /// What each tap makes of a constant input: k[o, tap] = Σ_c weight[o, tap, c]·t[c of its group], in the
  /// shape of the weight of a convolution from one channel.
  func tapSums(_ offsets: [Double]) -> DoubleTensor {
    let columns = geometry.inputChannelsPerGroup
    let perGroup = geometry.outputChannelsPerGroup * geometry.tapCount
    let shape = Shape([geometry.outputChannels] + geometry.axes.map(\.window) + [1])
    return DoubleTensor(uninitialized: shape) { out in
      weight.withSpan { weight in
        for i in out.indices {
          let first = i / perGroup * columns
          var sum = 0.0
          for c in 0..<columns { sum += weight[i * columns + c] * offsets[first + c] }
          out[i] = sum
        }
      }
    }
  }

  /// Adds a number to each output channel.
  mutating func addBias(_ values: [Double]) {
    let old = bias
    bias = DoubleTensor(uninitialized: [geometry.outputChannels]) { out in
      for o in out.indices { out[o] = (old?[flat: o] ?? 0) + values[o] }
    }
  }

  /// Changes weights by the element; for `LinearBranch`, which knows where they stand.
  mutating func withWeights(_ body: (inout MutableSpan<Double>) -> Void) {
    weight.withMutableSpan { body(&$0) }
  }

  private static func multiply(_ tensor: inout DoubleTensor, by factor: (Int) -> Double) {
    tensor.withMutableSpan { span in
      for i in span.indices { span[i] *= factor(i) }
    }
  }
}
