package import KeelTensor

/// Running statistics, as `RunningAverage` states them.
package enum RunningStatistics {
  /// Where the numbers of cells are.
  package struct Operands {
    /// 4 × cells.
    package var moments: UnsafePointer<Float>
    /// The running mean and variance, and for a cumulative average the batches so far.
    package var mean: UnsafePointer<Float>, variance: UnsafePointer<Float>
    package var batches: UnsafePointer<Float>?

    package init(
      moments: UnsafePointer<Float>, mean: UnsafePointer<Float>, variance: UnsafePointer<Float>,
      batches: UnsafePointer<Float>?
    ) {
      self.moments = moments
      self.mean = mean
      self.variance = variance
      self.batches = batches
    }
  }

  /// Computes the new running mean and variance per cell, in Double, rounded once.
  /// - Precondition: batches are there where the average is cumulative.
  package static func update(
    _ average: RunningAverage, _ operands: Operands, cells: Int,
    newMean: UnsafeMutablePointer<Float>, newVariance: UnsafeMutablePointer<Float>,
    newBatches: UnsafeMutablePointer<Float>?
  ) {
    let moments = operands.moments
    for cell in 0..<cells {
      let count = Double(moments[MomentsLayout.count * cells + cell])
      guard count > 0 else {
        newMean[cell] = operands.mean[cell]
        newVariance[cell] = operands.variance[cell]
        if let batches = operands.batches { newBatches?[cell] = batches[cell] }
        continue
      }
      let weight: Double
      switch average {
      case .momentum(let momentum): weight = Double(momentum)
      case .cumulative:
        let batches = operands.batches![cell] + 1
        newBatches?[cell] = batches
        weight = 1 / Double(batches)
      }
      let mean =
        Double(moments[MomentsLayout.mean * cells + cell])
        + Double(moments[MomentsLayout.meanResidual * cells + cell])
      let unbiased =
        Double(moments[MomentsLayout.squaredDeviations * cells + cell]) / (count - 1)
      newMean[cell] = Float((1 - weight) * Double(operands.mean[cell]) + weight * mean)
      newVariance[cell] = Float(
        (1 - weight) * Double(operands.variance[cell]) + weight * unbiased)
    }
  }
}
