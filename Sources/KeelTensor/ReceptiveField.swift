/// The part of a network's input that one position of a later value sees, composed window by window.
///
/// Per axis, through windows of k taps at dilation d, stride s and padding p before:
/// size = 1 + Σ_l (k_l − 1)·d_l·Π_{j<l} s_j, jump = Π s, start = −Σ_l p_l·Π_{j<l} s_j. Position i sees the
/// input from start + i·jump on, `size` positions long. Of two branches that are added or concatenated
/// take the larger size. Windows that enlarge a value (transposed convolutions) have no whole jump and
/// are not composed here.
public struct ReceptiveField: Hashable, Sendable {
  /// The field along one axis.
  public struct Axis: Hashable, Sendable {
    /// The input positions spanned.
    public var size = 1
    /// The input positions from one output to the next.
    public var jump = 1
    /// The first input position that output 0 sees; below 0 in the padding.
    public var start = 0

    /// The field of a value's own positions.
    public init() {}

    /// The field of the outputs of a window over positions that have this field.
    public func through(_ axis: SpatialAxis) -> Axis {
      var field = self
      field.size += (axis.window - 1) * axis.dilation * jump
      field.start -= axis.paddingBefore * jump
      field.jump *= axis.stride
      return field
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
    through(geometry.axes)
  }

  /// The field of the outputs of a pooling over positions that have this field; nil where bins of an
  /// adaptive pooling differ in size.
  /// - Precondition: both have as many axes.
  public func through(_ geometry: PoolingGeometry) -> ReceptiveField? {
    let windows = geometry.axes.compactMap(\.evenWindow)
    return windows.count == geometry.axes.count ? through(windows) : nil
  }

  private func through(_ windows: [SpatialAxis]) -> ReceptiveField {
    precondition(
      windows.count == axes.count, "a window of \(windows.count) axes over a field of \(axes.count)"
    )
    var field = self
    field.axes = zip(axes, windows).map { $0.through($1) }
    return field
  }
}
