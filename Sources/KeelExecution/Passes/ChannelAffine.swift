internal import KeelGraph
internal import KeelTensor

/// y = a·x + t per channel, the last axis: what a batch norm with given statistics computes, in Double.
///
/// Folding moves such a map into the weights of a neighbour, if need be past operations that it commutes
/// with. Where a norm itself subtracts first, a·x + t cancels: inputs whose mean is many deviations from 0
/// lose as many digits as that ratio has. That holds for every folded norm, of any framework.
internal struct ChannelAffine: Equatable {
  /// a of each channel.
  var factors: [Double]
  /// t of each channel.
  var offsets: [Double]

  /// The number of channels.
  var count: Int { factors.count }

  /// Whether it is x → x.
  var isIdentity: Bool { hasNoOffsets && factors.allSatisfy { $0 == 1 } }
  /// Whether t is 0 in every channel: padding with 0 stays padding with 0.
  var hasNoOffsets: Bool { offsets.allSatisfy { $0 == 0 } }
  /// Whether no factor turns the order of values round.
  var isMonotone: Bool { factors.allSatisfy { $0 >= 0 } }
  /// What it maps to 0 in each channel, −t/a; nil where it maps nothing to 0, or only
  /// what is beyond Float.
  var zeros: [Double]? {
    let zeros = zip(factors, offsets).map { a, t in t == 0 ? 0 : -t / a }
    return zeros.allSatisfy { abs($0) <= Double(Float.greatestFiniteMagnitude) } ? zeros : nil
  }

  /// The same map on tensors of another channel count, where one count is a multiple of the other: for
  /// reshapes that leave the order of elements alone, such as flattening N×H×W×C.
  /// - Returns: nil where channels of one side would mix on the other.
  func repeated(toCount other: Int) -> ChannelAffine? {
    if other % count == 0 {
      func tile(_ values: [Double]) -> [Double] {
        Array(repeatElement(values, count: other / count).joined())
      }
      return ChannelAffine(factors: tile(factors), offsets: tile(offsets))
    }
    guard count % other == 0 else { return nil }
    let head = ChannelAffine(
      factors: Array(factors.prefix(other)), offsets: Array(offsets.prefix(other)))
    return head.repeated(toCount: count) == self ? head : nil
  }
}

extension ChannelAffine {
  /// This map and then another one: a′·(a·x + t) + t′.
  func followed(by next: ChannelAffine) -> ChannelAffine {
    ChannelAffine(
      factors: zip(factors, next.factors).map { $0 * $1 },
      offsets: offsets.indices.map { next.factors[$0] * offsets[$0] + next.offsets[$0] })
  }

  /// a = γ/√(v + ε), t = β − mean·a.
  init(
    epsilon: Double, mean: [Double], variance: [Double], scale: [Double]?, shift: [Double]?
  ) {
    let factors = variance.indices.map { (scale?[$0] ?? 1) / (variance[$0] + epsilon).squareRoot() }
    self.factors = factors
    offsets = mean.indices.map { (shift?[$0] ?? 0) - mean[$0] * factors[$0] }
  }
}

extension ConvolutionGeometry {
  /// Whether some output is made with a position outside the input.
  internal var readsPadding: Bool { axes.contains(where: \.readsPadding) }
}

extension SpatialAxis {
  /// Whether some output is made with a position outside the input. Padding that no window reaches, as a
  /// stride may leave it, does not count.
  internal var readsPadding: Bool {
    paddingBefore > 0 || (output - 1) * stride - paddingBefore + extent > input
  }
}
