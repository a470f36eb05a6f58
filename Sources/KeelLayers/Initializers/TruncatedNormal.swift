import KeelTensor

/// Fills normally, but with numbers from low to high only; the bounds are absolute, not in deviations, as
/// PyTorch's are.
public struct TruncatedNormal: Initializer, Hashable {
  /// The mean before numbers are left out.
  public let mean: Double
  /// The deviation before numbers are left out.
  public let deviation: Double
  /// The least number.
  public let low: Double
  /// The largest number.
  public let high: Double

  /// Makes the initializer.
  /// - Precondition: all are finite, deviation > 0, low < high.
  public init(mean: Double = 0, deviation: Double = 1, from low: Double = -2, to high: Double = 2) {
    precondition(
      mean.isFinite && deviation > 0 && deviation.isFinite && low < high && (high - low).isFinite,
      "TruncatedNormal: expected finite bounds in order and a deviation above 0, found mean \(mean), "
        + "deviation \(deviation), bounds \(low) and \(high)")
    self.mean = mean
    self.deviation = deviation
    self.low = low
    self.high = high
  }

  /// A new weight; rounding to Float may pass a bound that is no Float.
  public func tensor(_ shape: Shape, using source: inout RandomSource) -> Tensor {
    let (a, b) = ((low - mean) / deviation, (high - mean) / deviation)
    return Tensor(uninitialized: shape) { out in
      for i in out.indices {
        let x = mean + deviation * source.normal(from: a, to: b)
        out[i] = Float(min(max(x, low), high))
      }
    }
  }
}
