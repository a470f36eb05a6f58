internal import KeelTensor

/// Where a normalization's statistics come from, and what they are for a channel.
package enum ChannelStatistics {
  /// Moments in the layout of `MomentsLayout`: 4 × channels.
  case moments(UnsafePointer<Float>)
  /// A mean and a variance per channel.
  case given(mean: UnsafePointer<Float>, variance: UnsafePointer<Float>)

  /// The mean as a rounded Float and the rest.
  func mean(_ c: Int, of channels: Int) -> (pivot: Float, rest: Double) {
    switch self {
    case .moments(let m):
      (
        m[MomentsLayout.mean * channels + c],
        Double(m[MomentsLayout.meanResidual * channels + c])
      )
    case .given(let mean, _): (mean[c], 0)
    }
  }

  /// The population variance.
  func variance(_ c: Int, of channels: Int) -> Double {
    switch self {
    case .moments(let m):
      Double(m[MomentsLayout.squaredDeviations * channels + c])
        / Double(m[MomentsLayout.count * channels + c])
    case .given(_, let variance): Double(variance[c])
    }
  }
}

/// The per-channel numbers behind `normalize`: y = scale·(x − pivot) + shift.
internal struct ChannelTable {
  let pivot: UnsafeMutablePointer<Float>
  let scale: UnsafeMutablePointer<Float>
  let shift: UnsafeMutablePointer<Float>

  /// Lays three rows into memory of 3 × padded channels.
  init(_ memory: UnsafeMutablePointer<Float>, channels: Int) {
    let padded = Self.padded(channels)
    pivot = memory
    scale = memory + padded
    shift = memory + 2 * padded
  }

  static func padded(_ channels: Int) -> Int { (channels + 15) / 16 * 16 }

  /// Fills the rows: pivot = mean rounded to Float, scale = γ/√(v + ε), shift = β − scale·(mean − pivot),
  /// computed in Double.
  func fill(
    _ statistics: ChannelStatistics, channels: Int, epsilon: Float,
    scale gamma: UnsafePointer<Float>?, shift beta: UnsafePointer<Float>?
  ) {
    for c in 0..<channels {
      let (rounded, rest) = statistics.mean(c, of: channels)
      let root = (statistics.variance(c, of: channels) + Double(epsilon)).squareRoot()
      let factor = Double(gamma?[c] ?? 1) / root
      pivot[c] = rounded
      scale[c] = Float(factor)
      shift[c] = Float(Double(beta?[c] ?? 0) - factor * rest)
    }
  }
}
