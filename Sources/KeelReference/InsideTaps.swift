import KeelTensor

extension SpatialAxis {
  /// For each output position the taps of its window that do not fall into the padding, with the input
  /// positions that they see, in order.
  internal var insideTaps: [[(tap: Int, position: Int)]] {
    (0..<output).map { output in
      (0..<window).compactMap { tap in
        let position = output * stride + tap * dilation - paddingBefore
        return position >= 0 && position < input ? (tap, position) : nil
      }
    }
  }
}
