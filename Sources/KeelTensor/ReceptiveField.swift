/// The part of a network's input that one position of a later value sees, composed window by window.
///
/// Per axis, through windows of k taps at dilation d, stride s and padding p before:
/// size = 1 + Σ_l (k_l − 1)·d_l·Π_{j<l} s_j, jump = Π s, start = −Σ_l p_l·Π_{j<l} s_j. Position i sees the
/// input from start + i·jump on, `size` positions long, the padding counted. A transposed convolution
/// divides the jump by its stride, which need not leave a whole number; the size is then rounded up.
public struct ReceptiveField: Hashable, Sendable {
  /// The field along one axis.
  public struct Axis: Hashable, Sendable {
    /// The input positions from one output to the next: below 1 where the value is larger than the input.
    public var jump: Double = 1
    /// The first input position that output 0 sees; below 0 in the padding.
    public var start: Double = 0
    /// The input positions from the first to the last that an output sees.
    public var span: Double = 0

    /// The field of a value's own positions.
    public init() {}

    /// The number of input positions that an output sees.
    public var size: Int { 1 + Int((span - 1e-6).rounded(.up)) }

    /// The field of the outputs of a window over positions that have this field.
    public func through(_ axis: SpatialAxis) -> Axis {
      var field = self
      field.span += Double(axis.extent - 1) * jump
      field.start -= Double(axis.paddingBefore) * jump
      field.jump *= Double(axis.stride)
      return field
    }

    /// The field of the outputs of the transposed window: the one whose outputs are these positions.
    public func throughTransposed(_ axis: SpatialAxis) -> Axis {
      var field = self
      // An output meets the taps of every stride-th input only.
      let reach = (axis.extent - 1) / axis.stride
      field.span += Double(reach) * jump
      field.jump /= Double(axis.stride)
      field.start += Double(axis.paddingBefore) * field.jump - Double(reach) * jump
      return field
    }

    /// The field of one value made from so many positions that have this field.
    public func throughAll(_ count: Int) -> Axis {
      var field = self
      field.span += Double(count - 1) * jump
      return field
    }

    /// The field of a value made from two: from the first position that either sees to the last.
    public func joined(with other: Axis) -> Axis {
      var field = self
      field.jump = max(jump, other.jump)
      field.start = min(start, other.start)
      field.span = max(span, other.span)
      return field
    }
  }

  /// The field along each axis, outermost first.
  public private(set) var axes: [Axis]

  /// The field of the input's own positions.
  /// - Parameter axisCount: the number of spatial axes, 1 to 3.
  public init(axisCount: Int = 2) { axes = Array(repeating: Axis(), count: axisCount) }

  /// The field of the outputs of a convolution or pooling over positions that have this field.
  /// - Precondition: both have as many axes.
  public func through(_ geometry: some SpatialGeometry) -> ReceptiveField {
    along(geometry.axes) { $0.through($1) }
  }

  /// The field of the outputs of a transposed convolution over positions that have this field.
  /// - Parameter geometry: that of the convolution whose adjoint it is.
  /// - Precondition: both have as many axes.
  public func throughTransposed(_ geometry: some SpatialGeometry) -> ReceptiveField {
    along(geometry.axes) { $0.throughTransposed($1) }
  }

  private func along(
    _ windows: [SpatialAxis], _ step: (Axis, SpatialAxis) -> Axis
  ) -> ReceptiveField {
    precondition(
      windows.count == axes.count, "a window of \(windows.count) axes over a field of \(axes.count)"
    )
    var field = self
    field.axes = zip(axes, windows).map(step)
    return field
  }

  /// The field of what is made from all positions of a value of these extents.
  /// - Precondition: both have as many axes.
  public func throughAll(_ extents: [Int]) -> ReceptiveField {
    precondition(extents.count == axes.count, "\(extents.count) extents, \(axes.count) axes")
    var field = self
    field.axes = zip(axes, extents).map { $0.throughAll($1) }
    return field
  }

  /// The field of a value made from two.
  /// - Precondition: both have as many axes.
  public func joined(with other: ReceptiveField) -> ReceptiveField {
    precondition(other.axes.count == axes.count, "\(axes.count) and \(other.axes.count) axes")
    var field = self
    field.axes = zip(axes, other.axes).map { $0.joined(with: $1) }
    return field
  }
}
