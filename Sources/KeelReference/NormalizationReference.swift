import KeelGraph
import KeelTensor

/// Batch norm and its gradients on rows×channels:
///
/// x̂ = (x − mean)/s with s = √(variance + ε), z = scale·x̂ + shift, y = f(z + residual).
///
/// With g = dy where f is active, and g′ = scale·g:
///
/// - dScale = Σ g·x̂, dShift = Σ g, dResidual = g,
/// - statistics of the batch: dx = (g′ − mean(g′) − x̂·mean(g′·x̂)) / s,
/// - given statistics: dx = g′ / s.
///
/// (Ioffe and Szegedy 2015, arXiv 1502.03167.)
internal struct NormalizationReference {
  let rows: Int
  let channels: Int
  let mean: [Double]
  /// s = √(variance + ε).
  let deviation: [Double]
  let scale: [Double]
  let shift: [Double]

  init(
    shape: Shape, mean: [Double], variance: [Double], epsilon: Float, scale: DoubleTensor?,
    shift: DoubleTensor?
  ) {
    rows = shape.rowCount
    channels = shape.channelCount
    self.mean = mean
    deviation = variance.map { ($0 + Double(epsilon)).squareRoot() }
    self.scale = scale?.elements ?? [Double](repeating: 1, count: shape.channelCount)
    self.shift = shift?.elements ?? [Double](repeating: 0, count: shape.channelCount)
  }

  /// z = scale·x̂ + shift.
  func forward(_ x: DoubleTensor) -> DoubleTensor {
    let normalized = normalized(x)
    return DoubleTensor(summing: x.shape) { z in
      normalized.withPointer { normalized in
        for row in 0..<rows {
          for c in 0..<channels {
            let i = row * channels + c
            z[i] = scale[c] * normalized[i] + shift[c]
          }
        }
      }
    }
  }

  /// x̂.
  func normalized(_ x: DoubleTensor) -> DoubleTensor {
    DoubleTensor(summing: x.shape) { result in
      x.withPointer { x in
        for row in 0..<rows {
          for c in 0..<channels {
            let i = row * channels + c
            result[i] = (x[i] - mean[c]) / deviation[c]
          }
        }
      }
    }
  }

  /// dScale and dShift for g behind the activation.
  func affineGradients(_ g: DoubleTensor, _ x: DoubleTensor) -> (
    dScale: DoubleTensor, dShift: DoubleTensor
  ) {
    let dShift = ElementwiseReference.channelSum(g)
    let dScale = DoubleTensor(summing: [channels]) { dScale in
      withPointers(g, normalized(x)) { g, normalized in
        for row in 0..<rows {
          for c in 0..<channels {
            dScale[c] += g[row * channels + c] * normalized[row * channels + c]
          }
        }
      }
    }
    return (dScale, dShift)
  }

  /// dx where mean and variance do not depend on x.
  func inputGradientOfGiven(_ g: DoubleTensor) -> DoubleTensor {
    DoubleTensor(summing: g.shape) { dx in
      g.withPointer { g in
        for row in 0..<rows {
          for c in 0..<channels {
            dx[row * channels + c] = scale[c] * g[row * channels + c] / deviation[c]
          }
        }
      }
    }
  }

  /// dx where mean and variance are those of x.
  func inputGradientOfCurrent(_ g: DoubleTensor, _ x: DoubleTensor) -> DoubleTensor {
    // mean(g′) = scale·Σg/M and mean(g′·x̂) = scale·Σg·x̂/M.
    let gradients = affineGradients(g, x)
    let (dScale, dShift) = (gradients.dScale.elements, gradients.dShift.elements)
    let count = Double(rows)
    return DoubleTensor(summing: g.shape) { dx in
      withPointers(g, normalized(x)) { g, normalized in
        for row in 0..<rows {
          for c in 0..<channels {
            let i = row * channels + c
            let centered = g[i] - dShift[c] / count
            dx[i] =
              scale[c] * (centered - normalized[i] * dScale[c] / count) / deviation[c]
          }
        }
      }
    }
  }
}

/// Mean and sum of squared deviations per channel, in two passes.
internal struct ChannelMoments {
  let count: Int
  let mean: [Double]
  let squaredDeviations: [Double]

  /// The moments of x, rows×channels.
  init(of x: DoubleTensor) {
    let (rows, channels) = (x.shape.rowCount, x.shape.channelCount)
    let mean = ElementwiseReference.channelSum(x).elements.map { $0 / Double(rows) }
    var squares = [Double](repeating: 0, count: channels)
    x.withPointer { x in
      for row in 0..<rows {
        for c in 0..<channels {
          let deviation = x[row * channels + c] - mean[c]
          squares[c] += deviation * deviation
        }
      }
    }
    count = rows
    self.mean = mean
    squaredDeviations = squares
  }

  /// The moments in the layout of graphs, `MomentsLayout`; the mean is not split, its residual is 0.
  var tensor: DoubleTensor {
    let channels = mean.count
    return DoubleTensor(summing: [MomentsLayout.rows, channels]) { out in
      for c in 0..<channels {
        out[MomentsLayout.count * channels + c] = Double(count)
        out[MomentsLayout.mean * channels + c] = mean[c]
        out[MomentsLayout.squaredDeviations * channels + c] = squaredDeviations[c]
      }
    }
  }
}
