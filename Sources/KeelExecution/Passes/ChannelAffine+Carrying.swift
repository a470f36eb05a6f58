internal import KeelGraph
internal import KeelTensor

extension ChannelAffine {
  /// The map on the other side of an operation that it commutes with, for `channels` channels there:
  /// op(a·x + t) = a′·op(x) + t′ for all x. Works in both directions.
  /// - Parameter rank: the number of axes of x, of which the last is that of the channels.
  /// - Returns: nil where it does not commute.
  func carried(past primitive: Primitive, channels: Int, rank: Int) -> ChannelAffine? {
    switch primitive {
    case .reshape: return repeated(toCount: channels)
    case .activation(let activation): return carried(past: activation)
    case .pooling(let geometry):
      switch geometry.kind {
      case .maximum: return isMonotone ? self : nil
      case .average: return hasNoOffsets || geometry.countsNoPadding ? self : nil
      case .l2: return hasNoOffsets && isMonotone ? self : nil
      }
    case .reduction(let reduction):
      guard !reduction.axes.contains(rank - 1) else { return nil }
      switch reduction.kind {
      case .mean: return self
      case .sum: return hasNoOffsets ? self : nil
      case .maximum, .minimum: return isMonotone ? self : nil
      case .absoluteSum, .euclideanNorm: return hasNoOffsets && isMonotone ? self : nil
      }
    case .movement(let movement):
      guard movement.axes.count == rank, movement.axes.last == .whole else { return nil }
      // Slices, mirrors and interpolations are means of elements; a constant pad is something else.
      let addsZeros = movement.axes.contains { axis in
        if case .pad(_, _, .constant) = axis { true } else { false }
      }
      return !addsZeros || (hasNoOffsets && movement.fill == 0) ? self : nil
    case .transpose(let permutation): return permutation.last == rank - 1 ? self : nil
    default: return nil
    }
  }

  /// The map on the other side of an activation: ReLU and its leaky form commute with factors that are
  /// not negative, and with no offsets.
  func carried(past activation: Activation) -> ChannelAffine? {
    switch activation {
    case .relu, .leakyReLU: hasNoOffsets && isMonotone ? self : nil
    default: nil
    }
  }
}

extension PoolingGeometry {
  /// Whether every element that an average counts lies inside the input.
  fileprivate var countsNoPadding: Bool {
    guard case .average(countsPadding: true) = kind else { return true }
    return axes.allSatisfy { axis in
      (0..<axis.output).allSatisfy { position in
        let taps = axis.taps(of: position)
        return taps.count == taps.counted
      }
    }
  }
}
