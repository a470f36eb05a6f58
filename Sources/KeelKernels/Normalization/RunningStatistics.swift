internal import KeelTensor

/// Running statistics: running ← (1 − momentum)·running + momentum·new, with the mean and the unbiased
/// variance Σ(x − mean)²/(count − 1) of the batch. Normalization itself uses the population variance.
package enum RunningStatistics {
  /// Computes the new running mean and variance per channel, in Double, rounded once.
  package static func update(
    moments: UnsafePointer<Float>, mean: UnsafePointer<Float>, variance: UnsafePointer<Float>,
    channels: Int, momentum: Float, newMean: UnsafeMutablePointer<Float>,
    newVariance: UnsafeMutablePointer<Float>
  ) {
    let weight = Double(momentum)
    for c in 0..<channels {
      let count = Double(moments[MomentsLayout.count * channels + c])
      let batchMean =
        Double(moments[MomentsLayout.mean * channels + c])
        + Double(moments[MomentsLayout.meanResidual * channels + c])
      let unbiased = Double(moments[MomentsLayout.squaredDeviations * channels + c]) / (count - 1)
      newMean[c] = Float((1 - weight) * Double(mean[c]) + weight * batchMean)
      newVariance[c] = Float((1 - weight) * Double(variance[c]) + weight * unbiased)
    }
  }
}
