import KeelGraph
import KeelTensor

/// Slices, paddings and resizings.
extension GraphExporter {
  /// What a movement does along the axes, one kind after another: the axes do not see each other.
  func moved(_ x: WrittenValue, _ movement: Movement, _ type: ValueType) -> WrittenValue {
    var y = sliced(x, movement)
    for mode in modes(of: movement) { y = padded(y, movement, mode) }
    y = resized(y, movement, type)
    return y
  }

  private func changed(_ x: WrittenValue, _ extents: [Int: Int]) -> ValueType {
    var type = x.type
    for (axis, extent) in extents { type.extents[axis] = .fixed(extent) }
    return type
  }

  // MARK: slices

  /// The slices, and what paddings below 0 cut off.
  private func sliced(_ x: WrittenValue, _ movement: Movement) -> WrittenValue {
    var (starts, ends, axes, steps): ([Int], [Int], [Int], [Int]) = ([], [], [], [])
    var extents: [Int: Int] = [:]
    func add(_ axis: Int, start: Int, count: Int, step: Int) {
      starts.append(start)
      ends.append(start + (count - 1) * step + 1)
      axes.append(x.position(ofAxis: axis))
      steps.append(step)
      extents[axis] = count
    }
    for (axis, kind) in movement.axes.enumerated() {
      switch kind {
      case .slice(let start, let count, let step): add(axis, start: start, count: count, step: step)
      case .pad(let before, let after, _) where before < 0 || after < 0:
        let input = x.extents[axis].fixedValue ?? 1
        let start = max(-before, 0)
        add(axis, start: start, count: input - start - max(-after, 0), step: 1)
      case .whole, .pad, .resize: continue
      }
    }
    if axes.isEmpty { return x }
    let operands = [starts, ends, axes, steps].map { integers($0) }
    return WrittenValue(
      emit("Slice", [name(x)] + operands)[0], order: x.order, changed(x, extents))
  }

  // MARK: paddings

  private func modes(of movement: Movement) -> [PaddingMode] {
    var result: [PaddingMode] = []
    for axis in movement.axes {
      guard case .pad(let before, let after, let mode) = axis, before > 0 || after > 0,
        !result.contains(where: { $0.modeName == mode.modeName })
      else { continue }
      result.append(mode)
    }
    return result
  }

  private func padded(_ x: WrittenValue, _ movement: Movement, _ mode: PaddingMode) -> WrittenValue
  {
    var (axes, before, after): ([Int], [Int], [Int]) = ([], [], [])
    var extents: [Int: Int] = [:]
    for (axis, kind) in movement.axes.enumerated() {
      guard case .pad(let first, let last, let own) = kind, own.modeName == mode.modeName,
        first > 0 || last > 0
      else { continue }
      axes.append(x.position(ofAxis: axis))
      before.append(max(first, 0))
      after.append(max(last, 0))
      extents[axis] = (x.extents[axis].fixedValue ?? 1) + max(first, 0) + max(last, 0)
    }
    // Integers are padded with 0, which is what ONNX takes without a value.
    let hasValue = mode.modeName == "constant" && x.type.elementType == .float32
    let fill = hasValue ? name(number(movement.fill)) : ""
    return WrittenValue(
      emit(
        "Pad", [name(x), integers(before + after), fill, integers(axes)],
        [.string("mode", mode.modeName)])[0], order: x.order, changed(x, extents))
  }

  // MARK: resizings

  /// What Resize can do to several axes at once.
  private struct Resizing: Equatable {
    let interpolation: Interpolation
    let coordinates: ResizeCoordinates
    let hasScale: Bool
  }

  private func resized(_ x: WrittenValue, _ movement: Movement, _ type: ValueType) -> WrittenValue {
    var kinds: [Resizing] = []
    var axes: [Int] = []
    for (axis, kind) in movement.axes.enumerated() {
      guard case .resize(_, let interpolation, let coordinates, let scale) = kind else { continue }
      axes.append(axis)
      // Where corners are aligned, Keel's coordinates follow from the extents alone.
      let own = Resizing(
        interpolation: interpolation, coordinates: coordinates,
        hasScale: scale != nil && coordinates != .alignCorners)
      if !kinds.contains(own) { kinds.append(own) }
    }
    guard let kind = kinds.first else { return x }
    let isImage = (3...5).contains(x.rank) && axes.allSatisfy { $0 > 0 && $0 < x.rank - 1 }
    if isImage, kinds.count == 1, let sizes = self.sizes(x, movement, kind, type) {
      return resized(x, kind, sizes, type)
    }
    return axes.reduce(x) { selected($0, movement.axes[$1], axis: $1, type) }
  }

  /// The operands of Resize behind the region, for axes N, C, spatial…; nil where a scale in Float does not give the
  /// extent.
  private func sizes(
    _ x: WrittenValue, _ movement: Movement, _ kind: Resizing, _ type: ValueType
  ) -> [String]? {
    let order = AxisOrder.channelsFirst(x.rank)
    guard kind.hasScale else { return ["", shape(order.map { type.extents[$0] })] }
    var scales: [Float] = []
    for axis in order {
      guard case .resize(let size, _, _, let scale?) = movement.axes[axis] else {
        scales.append(1)
        continue
      }
      scales.append(Float(1 / scale))
      let input = Float(x.extents[axis].fixedValue ?? 0)
      if Int((input * Float(1 / scale)).rounded(.down)) != size { return nil }
    }
    return [constantNode(ONNXTensorProto(Tensor(vector: scales)))]
  }

  private func resized(
    _ x: WrittenValue, _ kind: Resizing, _ sizes: [String], _ type: ValueType
  ) -> WrittenValue {
    let order = AxisOrder.channelsFirst(x.rank)
    var attributes: [ONNXAttributeProto] = [
      .string("coordinate_transformation_mode", kind.coordinates.modeName)
    ]
    switch kind.interpolation {
    case .linear: attributes.append(.string("mode", "linear"))
    case .nearest(let rounding):
      attributes += [.string("mode", "nearest"), .string("nearest_mode", rounding.modeName)]
    }
    return WrittenValue(
      emit("Resize", [name(x, in: order), ""] + sizes, attributes)[0], order: order, type)
  }

  /// One axis resized by Keel's own coordinates: the elements before and after each, by their weights.
  private func selected(
    _ x: WrittenValue, _ movement: AxisMovement, axis: Int, _ type: ValueType
  ) -> WrittenValue {
    guard let input = x.extents[axis].fixedValue, let output = type.extents[axis].fixedValue
    else { preconditionFailure("an open axis is resized") }
    let taps = AxisTaps(movement, input: input, output: output)
    func part(_ tap: (Int) -> Int) -> WrittenValue {
      let positions = (0..<output).map { taps.inputs[tap($0)] }
      let made = emit(
        "Gather", [name(x), integers(positions)], [.int("axis", x.position(ofAxis: axis))])[0]
      return WrittenValue(made, order: x.order, changed(x, [axis: output]))
    }
    func weights(_ weight: (Int) -> Float) -> WrittenValue {
      var shape = [Int](repeating: 1, count: x.rank)
      shape[axis] = output
      let list = (0..<output).map(weight)
      let turned = HostTensor(Tensor(vector: list)).reshaped(x.order.map { shape[$0] })
      guard case .floats(let tensor) = turned.elements else { return number(1) }
      return WrittenValue(
        constantNode(ONNXTensorProto(tensor)), order: x.order, ValueType(shape.map(Extent.fixed)))
    }
    let first = part { taps.starts[$0] }
    guard taps.inputs.count > output else { return first }
    let last = part { taps.starts[$0 + 1] - 1 }
    let isPair = { (i: Int) in taps.starts[i + 1] - taps.starts[i] > 1 }
    return combine(
      "Add", combine("Mul", first, weights { taps.weights[taps.starts[$0]] }),
      combine("Mul", last, weights { isPair($0) ? taps.weights[taps.starts[$0] + 1] : 0 }))
  }
}

extension Tensor {
  fileprivate init(vector: [Float]) {
    self.init(uninitialized: [vector.count]) { out in
      for i in out.indices { out[i] = vector[i] }
    }
  }
}

extension PaddingMode {
  fileprivate var modeName: String {
    switch self {
    case .constant: "constant"
    case .reflect: "reflect"
    case .replicate: "edge"
    case .circular: "wrap"
    }
  }
}

extension ResizeCoordinates {
  fileprivate var modeName: String {
    switch self {
    case .halfPixel: "half_pixel"
    case .alignCorners: "align_corners"
    case .asymmetric: "asymmetric"
    }
  }
}

extension Interpolation.Rounding {
  fileprivate var modeName: String {
    switch self {
    case .down: "floor"
    case .halfDown: "round_prefer_floor"
    case .halfUp: "round_prefer_ceil"
    case .up: "ceil"
    }
  }
}
