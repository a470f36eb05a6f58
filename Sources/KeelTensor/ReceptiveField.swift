/// The part of a network's input that one position of a later value sees, composed window by window.
///
/// Per axis, through windows of k taps at dilation d, stride s and padding p before:
/// size = 1 + Σ_l (k_l − 1)·d_l·Π_{j<l} s_j, jump = Π s, start = −Σ_l p_l·Π_{j<l} s_j. Position i sees the
/// input from start + i·jump on, `size` positions long, the padding counted.
///
/// Behind a transposed convolution neighbours see parts of different sizes, which repeat: the field keeps
/// each, so that no rounding is composed, and `size` is the largest.
public struct ReceptiveField: Hashable, Sendable {
  /// The field along one axis.
  public struct Axis: Hashable, Sendable {
    /// The first and last input position that positions 0..<period see; nil for one that sees none.
    private var parts: [ClosedRange<Int>?]
    /// The input positions from a position to the one a period later.
    private var advance: Int

    /// The field of a value's own positions.
    public init() {
      parts = [0...0]
      advance = 1
    }

    private init(parts: [ClosedRange<Int>?], advance: Int) {
      self.parts = parts
      self.advance = advance
    }

    /// The number of input positions that a position sees, at most.
    public var size: Int { parts.reduce(0) { max($0, $1?.count ?? 0) } }
    /// The input positions from one position to the next: not whole where a period is more than one.
    public var jump: Double { Double(advance) / Double(parts.count) }
    /// The first input position that position 0 sees; below 0 in the padding.
    public var start: Int { parts[0]?.lowerBound ?? 0 }

    /// What a position sees of the input.
    public func part(of position: Int) -> ClosedRange<Int>? {
      let phase = modulo(position, parts.count)
      guard let part = parts[phase] else { return nil }
      let shift = (position - phase) / parts.count * advance
      return part.lowerBound + shift...part.upperBound + shift
    }

    /// What several positions see together.
    private func part(of positions: some Sequence<Int>) -> ClosedRange<Int>? {
      positions.reduce(nil) { Self.union($0, part(of: $1)) }
    }

    private static func union(
      _ a: ClosedRange<Int>?, _ b: ClosedRange<Int>?
    ) -> ClosedRange<Int>? {
      guard let a, let b else { return a ?? b }
      return min(a.lowerBound, b.lowerBound)...max(a.upperBound, b.upperBound)
    }

    /// The field of the outputs of a window over positions that have this field.
    public func through(_ axis: SpatialAxis) -> Axis {
      let period = parts.count / greatestCommonDivisor(parts.count, axis.stride)
      let parts = (0..<period).map { position in
        let first = position * axis.stride - axis.paddingBefore
        return part(of: (0..<axis.window).lazy.map { first + $0 * axis.dilation })
      }
      return Axis(parts: parts, advance: period * axis.stride / self.parts.count * advance)
    }

    /// The field of the outputs of the transposed window: the one whose outputs are these positions.
    public func throughTransposed(_ axis: SpatialAxis) -> Axis {
      let parts = (0..<parts.count * axis.stride).map { position in
        let taps = (0..<axis.window).lazy.map { position + axis.paddingBefore - $0 * axis.dilation }
        return part(of: taps.filter { modulo($0, axis.stride) == 0 }.map { $0 / axis.stride })
      }
      return Axis(parts: parts, advance: advance)
    }

    /// The field of the positions from `first` on, every `step`-th of them.
    public func sliced(from first: Int, by step: Int = 1) -> Axis {
      let period = parts.count / greatestCommonDivisor(parts.count, step)
      return Axis(
        parts: (0..<period).map { part(of: first + $0 * step) },
        advance: period * step / parts.count * advance)
    }

    /// The field of positions laid anew over these: i between those around (i + o)·ratio − o, with o ½ or 0.
    /// - Parameter ratio: the number of positions before and after, or of the steps between them.
    public func resized(
      _ ratio: (before: Int, after: Int), isHalfPixel: Bool, _ interpolation: Interpolation
    ) -> Axis {
      let divisor = greatestCommonDivisor(ratio.before, ratio.after)
      let (before, after) = (ratio.before / divisor, ratio.after / divisor)
      let period = after * (parts.count / greatestCommonDivisor(parts.count, before))
      let offset = isHalfPixel ? 1 : 0
      let rounding =
        switch interpolation {
        case .linear, .nearest(.down): 0
        case .nearest(.halfDown): after - 1
        case .nearest(.halfUp): after
        case .nearest(.up): 2 * after - 1
        }
      let parts = (0..<period).map { i in
        // Twice `after` times the coordinate, so that it is whole.
        let coordinate = (2 * i + offset) * before - offset * after + rounding
        let rest = modulo(coordinate, 2 * after)
        let first = (coordinate - rest) / (2 * after)
        return part(of: first...(interpolation == .linear && rest > 0 ? first + 1 : first))
      }
      return Axis(parts: parts, advance: period / after * before / self.parts.count * advance)
    }

    /// The field of one value made from positions 0..<count; its jump is 0.
    public func throughAll(_ count: Int) -> Axis {
      Axis(parts: [part(of: 0..<count)], advance: 0)
    }

    /// The field of a value made from two of one size: from the first position that either sees to the
    /// last.
    public func joined(with other: Axis) -> Axis {
      let divisor = greatestCommonDivisor(parts.count, other.parts.count)
      let period = parts.count / divisor * other.parts.count
      return Axis(
        parts: (0..<period).map { Self.union(part(of: $0), other.part(of: $0)) },
        advance: max(
          period / parts.count * advance, period / other.parts.count * other.advance))
    }
  }

  /// The field along each axis, outermost first.
  public private(set) var axes: [Axis]

  /// The field of the input's own positions.
  /// - Parameter axisCount: the number of spatial axes, 1 to 3.
  public init(axisCount: Int = 2) { axes = Array(repeating: Axis(), count: axisCount) }

  /// The field of the outputs of a convolution over positions that have this field.
  /// - Precondition: both have as many axes.
  public func through(_ geometry: some SpatialGeometry) -> ReceptiveField {
    along(geometry.axes) { $0.through($1) }
  }

  /// The field of the outputs of a pooling over positions that have this field; nil where bins of an
  /// adaptive pooling differ in size.
  /// - Precondition: both have as many axes.
  public func through(_ geometry: PoolingGeometry) -> ReceptiveField? {
    let windows = geometry.axes.compactMap(\.evenWindow)
    return windows.count == geometry.axes.count ? along(windows) { $0.through($1) } : nil
  }

  /// The field of the outputs of a transposed convolution over positions that have this field.
  /// - Parameter geometry: that of the convolution whose adjoint it is.
  /// - Precondition: both have as many axes.
  public func throughTransposed(_ geometry: some SpatialGeometry) -> ReceptiveField {
    along(geometry.axes) { $0.throughTransposed($1) }
  }

  /// The field of the positions of a sliced, padded or resized value.
  /// - Parameters:
  ///   - movements: what is done along each axis.
  ///   - extents: the positions of each axis before.
  /// - Precondition: both have as many axes.
  public func moved(_ movements: [AxisMovement], extents: [Int]) -> ReceptiveField {
    along(Array(zip(movements, extents))) { axis, step in
      switch step.0 {
      case .whole: return axis
      case .slice(let start, _, let stride): return axis.sliced(from: start, by: stride)
      case .pad(let before, _, _): return axis.sliced(from: -before)
      case .resize(let count, let interpolation, let coordinates, _):
        let isCorners = coordinates == .alignCorners && step.1 > 1 && count > 1
        return axis.resized(
          isCorners ? (step.1 - 1, count - 1) : (step.1, count),
          isHalfPixel: coordinates == .halfPixel, interpolation)
      }
    }
  }

  /// The field of what is made from all positions of a value of these extents.
  /// - Precondition: both have as many axes.
  public func throughAll(_ extents: [Int]) -> ReceptiveField {
    along(extents) { $0.throughAll($1) }
  }

  /// The field of a value made from two, as by adding or concatenating them.
  /// - Precondition: both have as many axes.
  public func joined(with other: ReceptiveField) -> ReceptiveField {
    along(other.axes) { $0.joined(with: $1) }
  }

  private func along<Step>(_ steps: [Step], _ next: (Axis, Step) -> Axis) -> ReceptiveField {
    precondition(
      steps.count == axes.count, "\(steps.count) axes over a field of \(axes.count)")
    var field = self
    field.axes = zip(axes, steps).map(next)
    return field
  }
}

/// The remainder that is not negative.
private func modulo(_ a: Int, _ b: Int) -> Int {
  let remainder = a % b
  return remainder < 0 ? remainder + b : remainder
}

private func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
  b == 0 ? a : greatestCommonDivisor(b, a % b)
}
