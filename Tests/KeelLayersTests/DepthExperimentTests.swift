import Foundation
import KeelTensor
import Testing

/// Worked examples: how the size of weights decides what comes out of a deep network.
@Suite struct DepthExperimentTests {
  private func deviation(_ values: [Double]) -> Double {
    let mean = values.reduce(0, +) / Double(values.count)
    return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot()
  }

  /// Products of independent numbers of mean 0: the variances multiply, and add up over terms.
  @Test func variancePropagation() {
    var source = RandomSource(seed: 41)
    for (terms, weightVariance, expected) in [
      (1, 1.0, 1.0), (2, 1, 2), (50, 1, 50), (50, 1 / 50.0, 1),
    ] {
      let sums = (0..<40_000).map { _ in
        (0..<terms).reduce(0) { sum, _ in
          sum + source.normal() * source.normal() * weightVariance.squareRoot()
        }
      }
      let variance = deviation(sums) * deviation(sums)
      #expect(abs(variance / expected - 1) <= 0.06, "\(terms) terms")
    }
  }

  /// One way of scaling the same matrices.
  private struct Run {
    let scale: Double
    let activation: (Double) -> Double
    var y: [Double]
    var deviations: [Double] = []
  }

  /// Thirty layers of 1000×1000 matrices of mean 0 and variance 1, which all runs see. Uniform numbers, which
  /// are drawn faster: the rule asks for the variance only.
  @Test func depth() {
    let width = 1000
    var source = RandomSource(seed: 42)
    let start = (0..<width).map { _ in source.normal() }
    func relu(_ x: Double) -> Double { max(x, 0) }
    let n = Double(width)
    var runs = [
      Run(scale: 1, activation: { $0 }, y: start),
      Run(scale: 0.01, activation: { $0 }, y: start),
      Run(scale: 1 / n.squareRoot(), activation: { $0 }, y: start),
      Run(scale: (2 / n).squareRoot(), activation: relu, y: start),
      Run(scale: 1 / n.squareRoot(), activation: relu, y: start),
    ]
    for _ in 0..<30 {
      let matrix = Tensor(
        uniform: [width, width], from: -3.0.squareRoot(), to: 3.0.squareRoot(), using: &source)
      matrix.withSpan { matrix in
        for r in runs.indices {
          var next = [Double](repeating: 0, count: width)
          let (y, scale) = (runs[r].y, runs[r].scale)
          for i in 0..<width {
            var sums = SIMD4<Double>()
            for j in stride(from: 0, to: width, by: 4) {
              for lane in 0..<4 { sums[lane] += Double(matrix[i * width + j + lane]) * y[j + lane] }
            }
            next[i] = runs[r].activation(scale * sums.sum())
          }
          runs[r].deviations.append(deviation(next))
          runs[r].y = next
        }
      }
    }
    // Orders of magnitude: 1000^10, 10^−15, 1, 1, 2^−15.
    #expect(runs[0].deviations[19] > 1e29 && runs[0].deviations[19] < 1e31)
    #expect(runs[1].deviations[29] > 1e-16 && runs[1].deviations[29] < 1e-14)
    #expect(runs[2].deviations[29] > 0.3 && runs[2].deviations[29] < 3)
    #expect(runs[3].deviations[29] > 0.3 && runs[3].deviations[29] < 3)
    #expect(runs[4].deviations[29] > 1e-5 && runs[4].deviations[29] < 1e-4)
    // A Float would have overflowed at about layer 26.
    let limit = Double(Float.greatestFiniteMagnitude)
    let overflow = runs[0].deviations.firstIndex { $0 > limit }! + 1
    #expect((25...27).contains(overflow))
  }

  /// Sigmoids with normal weights of deviation 1 saturate: most outputs are within 10⁻³ of 0 or 1.
  @Test func saturation() {
    let width = 400
    var source = RandomSource(seed: 43)
    var y = (0..<width).map { _ in source.normal() }
    for _ in 0..<30 {
      y = (0..<width).map { _ in
        var sum = 0.0
        for value in y { sum += source.normal() * value }
        return 1 / (1 + exp(-sum))
      }
    }
    let share = Double(y.count { $0 < 1e-3 || $0 > 1 - 1e-3 }) / Double(width)
    #expect(share > 0.5)
  }
}
