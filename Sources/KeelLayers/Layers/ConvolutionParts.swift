import KeelGraph
import KeelTensor

/// What convolutions and transposed ones share: the numbers of their window, weight and bias, recording.
internal struct WindowNumbers<Axes: AxisCount> {
  let kernel: AxisNumbers<Axes>
  let stride: AxisNumbers<Axes>
  let padding: AxisPadding<Axes>
  let dilation: AxisNumbers<Axes>

  /// The numbers of one axis.
  struct Axis {
    let kernel: Int, stride: Int, dilation: Int
    let before: Int, after: Int
    /// The axis for messages.
    let name: String
  }

  /// The numbers axis by axis, outermost first.
  /// - Throws: `KeelError` of kind `argument` for padding `.same` with another stride than 1.
  func axes(at place: String) throws(KeelError) -> [Axis] {
    let names = SpatialAxes.names(count: Axes.axisCount)
    if padding == .same, let wrong = stride.numbers.first(where: { $0 != 1 }) {
      throw KeelError(
        .argument, at: place, expected: "stride 1 for padding .same", found: "\(wrong)")
    }
    return names.indices.map { i in
      let (kernel, dilation) = (kernel.numbers[i], dilation.numbers[i])
      let (before, after) = sides(i, kernel: kernel, dilation: dilation)
      return Axis(
        kernel: kernel, stride: stride.numbers[i], dilation: dilation, before: before,
        after: after, name: names[i])
    }
  }

  private func sides(_ axis: Int, kernel: Int, dilation: Int) -> (Int, Int) {
    switch padding {
    case .sides(let before, let after): return (before.numbers[axis], after.numbers[axis])
    case .same:
      // Numbers out of range are the geometry's to refuse.
      let range = 1...Int(Int32.max)
      guard range.contains(kernel), range.contains(dilation) else { return (0, 0) }
      let total = dilation * (kernel - 1)
      return (total / 2, total - total / 2)
    }
  }
}

/// A weight and a bias as a convolution starts from them: the bias as PyTorch's, uniform in ±1/√(fan in).
/// - Parameter parts: the channels that `groups` cuts, which are the weight's last axis.
internal func convolutionParameters(
  _ first: Int, _ kernel: [Int], _ parts: Int, groups: Int, bias: Int?,
  initializer: any Initializer, using source: inout RandomSource
) -> (weight: Parameter, bias: Parameter?) {
  let perGroup = groups >= 1 && parts % groups == 0 ? parts / groups : 0
  let shape = Shape([first] + kernel + [perGroup])
  let weight = Parameter(shape: shape) { initializer.tensor($0, using: &source) }
  let fanIn = weight.failure == nil ? Fan.input.count(of: shape) : 0
  return (
    weight,
    bias.map { channels in
      Parameter(shape: [channels]) { standardBias($0, fanIn: fanIn, using: &source) }
    }
  )
}

extension Variable {
  /// Records an operation on this variable, a weight and a bias.
  /// - Parameters:
  ///   - kind: the layer's name, for messages where the layer is the whole model.
  ///   - primitive: given the spatial extents of this variable, the epilogue and the layer's path.
  internal func convolved(
    _ weight: Parameter, _ bias: Parameter?, axisCount: Int, kind: String,
    _ primitive: ([Int], Epilogue, String) throws(KeelError) -> Primitive
  ) -> Variable {
    let place = trace.place(of: weight, kind: kind)
    guard let extents = spatialExtents(axisCount: axisCount, at: place)?.axes else {
      return trace.nothing()
    }
    do {
      let primitive = try primitive(extents, Epilogue(hasBias: bias != nil), place)
      let operands = [self, trace.variable(weight)] + (bias.map { [trace.variable($0)] } ?? [])
      return trace.apply(primitive, operands, label: place)[0]
    } catch {
      trace.fail(error)
      return trace.nothing()
    }
  }
}
