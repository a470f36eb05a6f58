import KeelGraph
import KeelTensor

extension WindowNumbers {
  /// The pooling of an input by this window.
  internal func pooling(
    _ kind: PoolingGeometry.Kind, ceilMode: Bool, _ input: [Int], _ channels: Int, _ place: String
  ) throws(KeelError) -> PoolingGeometry {
    var pooled: [PoolingAxis] = []
    for (extent, axis) in zip(input, try axes(at: place)) {
      pooled.append(
        try PoolingAxis(
          input: extent, window: axis.kernel, stride: axis.stride, paddingBefore: axis.before,
          paddingAfter: axis.after, dilation: axis.dilation, ceilMode: ceilMode, name: axis.name,
          place: place))
    }
    return try PoolingGeometry(kind, axes: pooled, channels: channels, place: place)
  }
}

extension Variable {
  /// Pools by a sliding window.
  internal func pooled<Axes: AxisCount>(
    _ kind: PoolingGeometry.Kind, _ window: WindowNumbers<Axes>, ceilMode: Bool
  ) -> Variable {
    pooled(axes: Axes.axisCount) { (input, channels, place) throws(KeelError) in
      try window.pooling(kind, ceilMode: ceilMode, input, channels, place)
    }
  }

  /// Pools bins into an output size.
  internal func pooled<Axes: AxisCount>(
    _ kind: PoolingGeometry.Kind, to output: AxisNumbers<Axes>
  ) -> Variable {
    pooled(axes: Axes.axisCount) { (input, channels, place) throws(KeelError) in
      let names = SpatialAxes.names(count: Axes.axisCount)
      var axes: [PoolingAxis] = []
      for i in names.indices {
        axes.append(
          try PoolingAxis(
            adaptive: input[i], output: output.numbers[i], name: names[i], place: place))
      }
      return try PoolingGeometry(kind, axes: axes, channels: channels, place: place)
    }
  }
}
