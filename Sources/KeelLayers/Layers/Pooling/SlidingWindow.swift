import KeelGraph
import KeelTensor

/// The window of a pooling layer: numbers for each axis, outermost first.
public struct SlidingWindow: Hashable, Sendable {
  /// The number of taps.
  public let size: [Int]
  /// The step from one window to the next.
  public let stride: [Int]
  /// The positions added before the first, at most half the window.
  public let paddingBefore: [Int]
  /// The positions added after the last, at most half the window.
  public let paddingAfter: [Int]
  /// The distance between neighbouring taps.
  public let dilation: [Int]
  /// Whether a last window that reaches over the padding is kept; it must start inside the input or the
  /// padding before it.
  public let ceilMode: Bool

  /// Makes a window; the stride is the size where none is given, the padding after that before. All have
  /// one number for each axis, which is why only layers make one.
  internal init(
    _ size: [Int], stride: [Int]? = nil, padding: [Int], paddingAfter: [Int]? = nil,
    dilation: [Int]? = nil, ceilMode: Bool = false
  ) {
    self.size = size
    self.stride = stride ?? size
    paddingBefore = padding
    self.paddingAfter = paddingAfter ?? padding
    self.dilation = dilation ?? size.map { _ in 1 }
    self.ceilMode = ceilMode
  }

  internal func geometry(
    _ kind: PoolingGeometry.Kind, _ input: [Int], _ channels: Int, _ place: String
  ) throws(KeelError) -> PoolingGeometry {
    let names = SpatialAxes.names(count: input.count)
    var axes: [PoolingAxis] = []
    for i in input.indices {
      axes.append(
        try PoolingAxis(
          input: input[i], window: size[i], stride: stride[i], paddingBefore: paddingBefore[i],
          paddingAfter: paddingAfter[i], dilation: dilation[i], ceilMode: ceilMode, name: names[i],
          place: place))
    }
    return try PoolingGeometry(kind, axes: axes, channels: channels, place: place)
  }
}

extension Variable {
  internal func pooled(_ kind: PoolingGeometry.Kind, _ window: SlidingWindow) -> Variable {
    pooled(axes: window.size.count) { (input, channels, place) throws(KeelError) in
      try window.geometry(kind, input, channels, place)
    }
  }

  internal func pooled(_ kind: PoolingGeometry.Kind, to output: [Int]) -> Variable {
    pooled(axes: output.count) { (input, channels, place) throws(KeelError) in
      let names = SpatialAxes.names(count: output.count)
      var axes: [PoolingAxis] = []
      for i in output.indices {
        axes.append(
          try PoolingAxis(adaptive: input[i], output: output[i], name: names[i], place: place))
      }
      return try PoolingGeometry(kind, axes: axes, channels: channels, place: place)
    }
  }

  internal func maxPooledWithIndices(_ window: SlidingWindow) -> (y: Variable, indices: Variable) {
    maxPooledWithIndices(axes: window.size.count) { (input, channels, place) throws(KeelError) in
      try window.geometry(.maximum, input, channels, place)
    }
  }
}
