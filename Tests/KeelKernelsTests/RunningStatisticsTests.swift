import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Class reference: running statistics from moments.
@Suite struct RunningStatisticsTests {
  private func update(
    _ moments: Tensor, _ mean: [Float], _ variance: [Float], momentum: Float
  ) -> (mean: [Float], variance: [Float]) {
    var (newMean, newVariance) = (mean, variance)
    withExtendedLifetime(moments) {
      mean.withUnsafeBufferPointer { mean in
        variance.withUnsafeBufferPointer { variance in
          RunningStatistics.update(
            .momentum(momentum),
            RunningStatistics.Operands(
              moments: moments.unsafeBase, mean: mean.baseAddress!,
              variance: variance.baseAddress!, batches: nil), cells: mean.count,
            newMean: &newMean, newVariance: &newVariance, newBatches: nil)
        }
      }
    }
    return (newMean, newVariance)
  }

  /// Counts, means, rests of means, squared deviations of two channels.
  private let moments = try! Tensor([5, 5, 2, -3, 0, 0, 8, 20], shape: [4, 2])

  @Test func momentumIsTheWeightOfTheNew() {
    // Unbiased variances 8/4 and 20/4.
    #expect(update(moments, [0, 1], [1, 1], momentum: 1) == ([2, -3], [2, 5]))
    #expect(update(moments, [7, 8], [9, 10], momentum: 0) == ([7, 8], [9, 10]))
    #expect(update(moments, [4, 1], [4, 1], momentum: 0.25) == ([3.5, 0], [3.5, 2]))
  }

  @Test func bothHalvesOfTheMeanCount() {
    var split = moments
    split[MomentsLayout.meanResidual, 0] = 0.5
    #expect(update(split, [0, 0], [0, 0], momentum: 1).mean == [2.5, -3])
  }

  @Test(arguments: [[2, 3], [300, 17], [70_000, 6]] as [Shape])
  func momentsOfData(shape: Shape) throws {
    var source = TensorSource(seed: 95)
    let x = source.normal(shape, mean: 40, deviation: 3)
    let channels = shape.channelCount
    let parallelism = Parallelism(threads: 2)
    let kernel = MomentsKernel(.batch, of: shape)
    let moments = Tensor(zeros: [MomentsLayout.rows, channels])
    let scratch = Tensor(repeating: .nan, shape: [kernel.scratchCount(parallelism)])
    withExtendedLifetime((x, scratch, moments)) {
      kernel.run(
        x.unsafeBase, into: moments.unsafeBase, scratch: scratch.unsafeBase,
        parallelism: parallelism)
    }
    let zeros = [Float](repeating: 0, count: channels)
    let result = update(moments, zeros, zeros, momentum: 1)
    let statistics = DoubleTensor(widening: x).channelStatistics
    let unbiased = Double(shape.rowCount) / Double(shape.rowCount - 1)
    for c in 0..<channels {
      #expect(abs(Double(result.mean[c]) - statistics.means[c]) <= 40 * Double(Float.ulpOfOne))
      let variance = statistics.deviations[c] * statistics.deviations[c] * unbiased
      #expect(abs(Double(result.variance[c]) / variance - 1) <= 1e-6)
    }
  }
}
