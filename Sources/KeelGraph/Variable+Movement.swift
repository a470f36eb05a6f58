import KeelTensor

/// Slicing, padding, resizing, joining and permuting.
extension Variable {
  /// The variables one after another along an axis; axes below 0 count from the last. The other extents are
  /// equal, and the element types are.
  ///
  /// An empty list is an error of the caller's: there is no trace to tell.
  /// - Precondition: at least one variable.
  public static func concatenation(_ variables: [Variable], axis: Int = -1) -> Variable {
    precondition(!variables.isEmpty, "expected at least 1 variable to concatenate, found none")
    let first = variables[0]
    let rank = first.type?.rank ?? 0
    return first.trace.apply(.concatenation(axis: axis < 0 ? axis + rank : axis), variables)[0]
  }

  /// Elements start, start + step, … of an axis; a start below 0 counts from the end, and without a count
  /// all to the end are taken. Axes below 0 count from the last. All of an axis is the variable itself, also
  /// where the extent is open.
  public func sliced(axis: Int, from start: Int = 0, count: Int? = nil, step: Int = 1) -> Variable {
    if start == 0, count == nil, step == 1, isAxis(axis) { return self }
    guard let (axis, extent) = known(axis, what: "slice") else { return trace.nothing() }
    let first = start < 0 ? start + extent : start
    let rest = step >= 1 && (0..<extent).contains(first) ? (extent - first - 1) / step + 1 : 0
    if first == 0, step == 1, count ?? rest == extent { return self }
    // A count of 0 would be refused for a start beyond the end, which is what is wrong.
    return moved(axis: axis, .slice(start: first, count: count ?? max(rest, 1), step: step))
  }

  /// The parts of an axis, of these extents; together they must be the whole.
  public func split(axis: Int, into counts: [Int]) -> [Variable] {
    guard let (axis, extent) = known(axis, what: "split") else {
      return counts.map { _ in trace.nothing() }
    }
    guard counts.allSatisfy((1...extent).contains), counts.reduce(0, +) == extent else {
      trace.fail(
        KeelError(
          .shape, at: "split after \(trace.lastLayer)",
          expected: "parts of at least 1 and \(extent) elements in all on axis \(axis)",
          found: "\(counts)"))
      return counts.map { _ in trace.nothing() }
    }
    var start = 0
    return counts.map { count in
      defer { start += count }
      if count == extent { return self }
      return moved(axis: axis, .slice(start: start, count: count, step: 1))
    }
  }

  /// Elements put before and after those of some axes; with zeros, amounts below 0 cut off.
  /// - Parameter amounts: before and after by axis; axes below 0 count from the last.
  public func padded(_ amounts: [Int: (before: Int, after: Int)], mode: PaddingMode = .zeros)
    -> Variable
  {
    guard let type else { return self }
    var axes = [AxisMovement](repeating: .whole, count: type.rank)
    for (axis, amount) in amounts where amount != (0, 0) {
      guard let (axis, _) = known(axis, what: "pad") else { return trace.nothing() }
      guard axes[axis] == .whole else {
        trace.fail(
          KeelError(
            .argument, at: "pad after \(trace.lastLayer)", expected: "each axis once",
            found: "axis \(axis) twice"))
        return trace.nothing()
      }
      axes[axis] = .pad(before: amount.before, after: amount.after, mode)
    }
    return moved(axes)
  }

  /// Another size of the axes between the first and the last: height and width of N×H×W×C, the length of
  /// N×L×C, depth, height and width of N×D×H×W×C.
  public func resized(
    to extents: [Int], _ interpolation: Interpolation,
    coordinates: ResizeCoordinates = .halfPixel
  ) -> Variable {
    resized(to: extents, interpolation, coordinates: coordinates, scales: nil)
  }

  /// As many times the size of the axes between the first and the last, rounded down.
  public func resized(
    by factor: Double, _ interpolation: Interpolation, coordinates: ResizeCoordinates = .halfPixel
  ) -> Variable {
    resized(
      by: [Double](repeating: factor, count: max(0, (type?.rank ?? 0) - 2)), interpolation,
      coordinates: coordinates)
  }

  /// As many times the size of each axis between the first and the last, rounded down. The scales stay 1/factor
  /// where rounding makes the extents another ratio, as PyTorch's do.
  public func resized(
    by factors: [Double], _ interpolation: Interpolation,
    coordinates: ResizeCoordinates = .halfPixel
  ) -> Variable {
    let place = "resize after \(trace.lastLayer)"
    guard type != nil, let (extents, _) = spatialExtents(axisCount: factors.count, at: place) else {
      return trace.nothing()
    }
    for factor in factors where !(factor > 0 && factor < 1_048_576) {
      trace.fail(
        KeelError(
          .argument, at: place, expected: "a factor above 0 and below 2²⁰", found: "\(factor)"))
      return trace.nothing()
    }
    let larger = zip(extents, factors).map { Int((Double($0) * $1).rounded(.down)) }
    return resized(
      to: larger, interpolation, coordinates: coordinates, scales: factors.map { 1 / $0 })
  }

  private func resized(
    to extents: [Int], _ interpolation: Interpolation, coordinates: ResizeCoordinates,
    scales: [Double]?
  ) -> Variable {
    guard let type else { return self }
    guard type.rank == extents.count + 2 else {
      trace.fail(
        KeelError(
          .shape, at: "resize after \(trace.lastLayer)",
          expected: "N×…×C with \(extents.count) axes between", found: "\(type)"))
      return trace.nothing()
    }
    let inner = extents.enumerated().map { position, extent in
      AxisMovement.resize(
        to: extent, interpolation, coordinates, scale: scales.map { $0[position] })
    }
    return moved([.whole] + inner + [.whole])
  }

  /// The middle of the axes between the first and the last; what is cut off in odd numbers is cut one more
  /// at the end.
  public func centerCropped(to extents: [Int]) -> Variable {
    guard let type else { return self }
    let place = "center crop after \(trace.lastLayer)"
    guard type.rank == extents.count + 2 else {
      trace.fail(
        KeelError(
          .shape, at: place, expected: "N×…×C with \(extents.count) axes between",
          found: "\(type)"))
      return trace.nothing()
    }
    var axes = [AxisMovement](repeating: .whole, count: type.rank)
    for (position, extent) in extents.enumerated() {
      guard let input = type.extents[position + 1].fixedValue, (1...input).contains(extent) else {
        trace.fail(
          KeelError(
            .shape, at: place,
            expected: "an extent to crop axis \(position + 1) to, from 1 to what it has",
            found: "\(extent) of \(type)"))
        return trace.nothing()
      }
      if extent < input {
        axes[position + 1] = .slice(start: (input - extent) / 2, count: extent, step: 1)
      }
    }
    return moved(axes)
  }

  /// The axes in another order: axis k of the result is axis permutation[k].
  public func transposed(_ permutation: [Int]) -> Variable {
    trace.apply(.transpose(permutation: permutation), [self])[0]
  }

  /// The order of channels that `depthToSpace` takes apart.
  public enum BlockOrder: Hashable, Sendable {
    /// Channel (row·block + column)·C + c: ONNX's DCR.
    case blockFirst
    /// Channel c·block² + row·block + column: ONNX's CRD, PyTorch's PixelShuffle.
    case channelFirst
  }

  /// N×H×W×(C·b²) → N×(H·b)×(W·b)×C: channels to pixels.
  public func depthToSpace(block: Int, order: BlockOrder = .channelFirst) -> Variable {
    let place = "depth to space after \(trace.lastLayer)"
    guard let (axes, c) = spatialExtents(axisCount: 2, at: place), let type else {
      return trace.nothing()
    }
    let (h, w) = (axes[0], axes[1])
    guard block >= 1, block < 1 << 15, c % (block * block) == 0 else {
      trace.fail(
        KeelError(
          .shape, at: place, expected: "channels divisible by the square of block \(block)",
          found: "\(type)"))
      return trace.nothing()
    }
    let channels = c / (block * block)
    let n = type.extents[0]
    let (b, k) = (Extent.fixed(block), Extent.fixed(channels))
    let (split, permutation): ([Extent], [Int]) =
      order == .blockFirst
      ? ([n, .fixed(h), .fixed(w), b, b, k], [0, 1, 3, 2, 4, 5])
      : ([n, .fixed(h), .fixed(w), k, b, b], [0, 1, 4, 2, 5, 3])
    return reshaped(split).transposed(permutation)
      .reshaped([n, .fixed(h * block), .fixed(w * block), k])
  }

  /// N×(H·b)×(W·b)×C → N×H×W×(C·b²): pixels to channels, undone by `depthToSpace`.
  public func spaceToDepth(block: Int, order: BlockOrder = .channelFirst) -> Variable {
    let place = "space to depth after \(trace.lastLayer)"
    guard let (axes, c) = spatialExtents(axisCount: 2, at: place), let type else {
      return trace.nothing()
    }
    let (h, w) = (axes[0], axes[1])
    guard block >= 1, block < 1 << 15, h % block == 0, w % block == 0 else {
      trace.fail(
        KeelError(
          .shape, at: place, expected: "height and width divisible by block \(block)",
          found: "\(type)"))
      return trace.nothing()
    }
    let n = type.extents[0]
    let (b, k) = (Extent.fixed(block), Extent.fixed(c))
    let (rows, columns) = (Extent.fixed(h / block), Extent.fixed(w / block))
    let permutation = order == .blockFirst ? [0, 1, 3, 2, 4, 5] : [0, 1, 3, 5, 2, 4]
    return reshaped([n, rows, b, columns, b, k]).transposed(permutation)
      .reshaped([n, rows, columns, .fixed(c * block * block)])
  }

  /// The same elements under other extents.
  public func reshaped(_ extents: [Extent]) -> Variable {
    trace.apply(.reshape(extents), [self])[0]
  }

  private func moved(axis: Int, _ movement: AxisMovement) -> Variable {
    guard let type else { return self }
    var axes = [AxisMovement](repeating: .whole, count: type.rank)
    axes[axis] = movement
    return moved(axes)
  }

  private func moved(_ axes: [AxisMovement]) -> Variable {
    if axes.allSatisfy({ $0 == .whole }) { return self }
    return trace.apply(.movement(Movement(axes)), [self])[0]
  }

  private func isAxis(_ axis: Int) -> Bool {
    type.map { (-$0.rank..<$0.rank).contains(axis) } ?? false
  }

  /// An axis, counted from the first, and its extent; otherwise keeps an error.
  private func known(_ axis: Int, what: String) -> (axis: Int, extent: Int)? {
    guard let type else { return nil }
    let place = "\(what) after \(trace.lastLayer)"
    let position = axis < 0 ? axis + type.rank : axis
    guard isAxis(axis) else {
      trace.fail(
        KeelError(
          .shape, at: place, expected: "an axis of \(type)", found: "axis \(axis)"))
      return nil
    }
    guard let extent = type.extents[position].fixedValue else {
      trace.fail(
        KeelError(
          .shape, at: place, expected: "a known extent on axis \(position)", found: "\(type)"))
      return nil
    }
    return (position, extent)
  }
}
