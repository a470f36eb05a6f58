import KeelGraph
import KeelTensor

extension NodeEvaluation {
  /// (x, mean?, variance?, scale?, shift?, residual?) → (y, moments?).
  func normalization(_ normalization: Normalization) throws(KeelError) -> [ReferenceValue] {
    let x = real(0)
    let at = NormalizationOperands(normalization)
    var results: [ReferenceValue] = []
    let mean: [Double]
    let variance: [Double]
    switch normalization.statistics {
    case .current:
      guard x.shape.rowCount > 1 else {
        throw KeelError(
          .shape, at: node.label, expected: "more than one value per channel in training",
          found: "\(x.shape)")
      }
      let moments = ChannelMoments(of: x)
      mean = moments.mean
      variance = moments.squaredDeviations.map { $0 / Double(moments.count) }
      results.append(.real(moments.tensor))
    case .given:
      (mean, variance) = try givenStatistics(at.mean, at.variance, normalization)
    }
    let reference = NormalizationReference(
      shape: x.shape, mean: mean, variance: variance, epsilon: normalization.epsilon,
      scale: real(at.scale), shift: real(at.shift))
    var y = reference.forward(x)
    if let residual = real(at.residual) { y = ElementwiseReference.sum(y, residual) }
    if let activation = normalization.epilogue.activation {
      y = ElementwiseReference.activated(y, activation)
    }
    return [.real(y)] + results
  }

  /// (dy, x, moments | mean, variance, scale?, shift?, y?) → (dx, dScale?, dShift?, dResidual?).
  func normalizationGradient(_ normalization: Normalization) throws(KeelError) -> [ReferenceValue] {
    let x = real(1)
    let at = NormalizationGradientOperands(normalization)
    let mean: [Double]
    let variance: [Double]
    if let moments = real(at.moments) {
      let statistics = try batchStatistics(moments)
      mean = statistics.mean
      variance = zip(statistics.squaredDeviations, statistics.count).map { $0 / $1 }
    } else {
      (mean, variance) = try givenStatistics(at.mean, at.variance, normalization)
    }
    let reference = NormalizationReference(
      shape: x.shape, mean: mean, variance: variance, epsilon: normalization.epsilon,
      scale: real(at.scale), shift: real(at.shift))
    var g = real(0)
    if let activation = normalization.epilogue.activation {
      g = ElementwiseReference.activationGradient(
        g, from: real(at.output) ?? reference.forward(x), activation)
    }
    let dx =
      switch normalization.statistics {
      case .current: reference.inputGradientOfCurrent(g, x)
      case .given: reference.inputGradientOfGiven(g)
      }
    var results: [ReferenceValue] = [.real(dx)]
    if normalization.hasAffine {
      let gradients = reference.affineGradients(g, x)
      results += [.real(gradients.dScale), .real(gradients.dShift)]
    }
    if normalization.epilogue.hasResidual { results.append(.real(g)) }
    return results
  }

  /// (moments, mean, variance) → (mean′, variance′).
  func runningStatistics(_ momentum: Float) throws(KeelError) -> [ReferenceValue] {
    let batch = try batchStatistics(real(0))
    let (mean, variance) = (real(1), real(2))
    let weight = Double(momentum)
    func averaged(_ old: Double, _ new: Double) -> Double { (1 - weight) * old + weight * new }
    return [
      .real(
        DoubleTensor(uninitialized: mean.shape) { out in
          for c in out.indices { out[c] = averaged(mean[flat: c], batch.mean[c]) }
        }),
      .real(
        DoubleTensor(uninitialized: variance.shape) { out in
          for c in out.indices {
            let unbiased = batch.squaredDeviations[c] / (batch.count[c] - 1)
            out[c] = averaged(variance[flat: c], unbiased)
          }
        }),
    ]
  }

  /// The rows of a moments operand, the two parts of the mean added.
  private func batchStatistics(_ moments: DoubleTensor) throws(KeelError) -> (
    count: [Double], mean: [Double], squaredDeviations: [Double]
  ) {
    let channels = 0..<moments.shape[1]
    let count = channels.map { moments[MomentsLayout.count, $0] }
    for (channel, count) in count.enumerated() where !(count > 1) {
      throw KeelError(
        .value, at: node.label, expected: "moments of more than one value per channel",
        found: "\(count) in channel \(channel)")
    }
    return (
      count,
      channels.map { moments[MomentsLayout.mean, $0] + moments[MomentsLayout.meanResidual, $0] },
      channels.map { moments[MomentsLayout.squaredDeviations, $0] }
    )
  }

  private func givenStatistics(_ mean: Int?, _ variance: Int?, _ normalization: Normalization)
    throws(KeelError) -> (mean: [Double], variance: [Double])
  {
    guard let mean = real(mean), let variance = real(variance) else {
      preconditionFailure("\(node.label): expected given mean and variance, found none")
    }
    for (channel, v) in variance.elements.enumerated()
    where !(v + Double(normalization.epsilon) > 0 && v.isFinite) {
      throw KeelError(
        .value, at: node.label,
        expected: "finite variances with variance + \(normalization.epsilon) > 0",
        found: "\(v) in channel \(channel)")
    }
    for (channel, m) in mean.elements.enumerated() where !m.isFinite {
      throw KeelError(
        .value, at: node.label, expected: "finite means", found: "\(m) in channel \(channel)")
    }
    return (mean.elements, variance.elements)
  }
}
