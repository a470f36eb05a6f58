import KeelGraph
import KeelTensor

extension NodeEvaluation {
  /// (x, labels?, moments | mean, variance, scale?, shift?, residual?) → (y, moments?).
  func normalization(_ normalization: Normalization) throws(KeelError) -> [ReferenceValue] {
    let at = NormalizationOperands(normalization)
    let map = try cellMap(normalization.partition, of: 0, labels: at.labels)
    let moments: [Moments]
    switch normalization.statistics {
    case .current:
      moments = map.moments(of: real(0))
      try checkCounts(moments, normalization, of: 0)
    case .moments: moments = real(at.moments!).moments
    case .given: moments = try givenStatistics(at.mean!, at.variance!, normalization)
    }
    let reference = NormalizationReference(
      normalization, real(0), map, moments, scale: real(at.scale), shift: real(at.shift))
    var y = reference.forward()
    if let residual = real(at.residual) { y = ElementwiseReference.sum(y, residual) }
    if let activation = normalization.epilogue.activation {
      y = ElementwiseReference.activated(y, activation)
    }
    guard normalization.statistics == .current else { return [.real(y)] }
    return [.real(y), .real(DoubleTensor(moments, cells: map.cells))]
  }

  /// (dy, x, labels?, moments | mean, variance, scale?, shift?, y?) →
  /// (dx, dScale?, dShift?, dResidual?, dMoments?).
  func normalizationGradient(_ normalization: Normalization) throws(KeelError) -> [ReferenceValue] {
    let at = NormalizationGradientOperands(normalization)
    let map = try cellMap(normalization.partition, of: 1, labels: at.labels)
    let moments: [Moments]
    if let index = at.moments {
      moments = real(index).moments
      if normalization.statistics == .current {
        try checkCounts(moments, normalization, of: 1)
      }
    } else {
      moments = try givenStatistics(at.mean!, at.variance!, normalization)
    }
    let reference = NormalizationReference(
      normalization, real(1), map, moments, scale: real(at.scale), shift: real(at.shift))
    var g = real(0)
    if let activation = normalization.epilogue.activation {
      g = ElementwiseReference.activationGradient(
        g, from: real(at.output) ?? reference.forward(), activation)
    }
    let (dx, dMoments) = reference.gradients(g)
    let affine = reference.affineGradients(g)
    var results = [dx]
    if let dScale = affine.dScale { results.append(dScale) }
    if let dShift = affine.dShift { results.append(dShift) }
    if at.dResidual != nil { results.append(g) }
    if at.dMoments != nil { results.append(dMoments) }
    return results.map(ReferenceValue.real)
  }

  /// (x, labels?, weights?) → moments.
  func moments(_ partition: Partition, isWeighted: Bool) throws(KeelError) -> [ReferenceValue] {
    let at = MomentsOperands(partition, isWeighted: isWeighted)
    let map = try cellMap(partition, of: 0, labels: at.labels, weights: at.weights)
    return [.real(DoubleTensor(map.moments(of: real(0)), cells: map.cells))]
  }

  /// (dMoments, x, moments, labels?, weights?) → dx.
  func momentsGradient(_ partition: Partition, isWeighted: Bool) throws(KeelError)
    -> [ReferenceValue]
  {
    let at = MomentsGradientOperands(partition, isWeighted: isWeighted)
    let map = try cellMap(partition, of: 1, labels: at.labels, weights: at.weights)
    return [
      .real(
        NormalizationReference.inputGradient(
          of: NormalizationReference.gradients(in: real(0)), real(1), map, real(2).moments))
    ]
  }

  /// (moments…, ω?, ω′?) → moments.
  func mixedMoments(_ mixture: MomentsMixture) -> [ReferenceValue] {
    let reference = MixtureReference(mixture, operands.indices.map { real($0) })
    return [.real(DoubleTensor(reference.forward(), cells: reference.cells))]
  }

  /// (dMoments, moments…, ω?, ω′?) → the gradient of each operand.
  func mixedMomentsGradient(_ mixture: MomentsMixture) -> [ReferenceValue] {
    let values = operands.indices.dropFirst().map { real($0) }
    return MixtureReference(mixture, values).gradients(
      NormalizationReference.gradients(in: real(0)), operands: values
    ).map(ReferenceValue.real)
  }

  /// (moments, mean, variance, t?) → (mean′, variance′, t′?).
  func runningStatistics(_ average: RunningAverage) throws(KeelError) -> [ReferenceValue] {
    let batch = real(0).moments
    for (cell, moments) in batch.enumerated() where moments.count != 0 && !(moments.count > 1) {
      throw KeelError(
        .value, at: node.label, expected: "moments of more than one value per cell",
        found: "\(moments.count) in cell \(cell)")
    }
    let batches = average == .cumulative ? real(3) : nil
    func averaged(_ old: DoubleTensor, _ value: (Moments) -> Double) -> ReferenceValue {
      .real(
        DoubleTensor(uninitialized: old.shape) { out in
          for cell in out.indices {
            let weight: Double
            switch average {
            case .momentum(let momentum): weight = Double(momentum)
            case .cumulative: weight = 1 / (batches![flat: cell] + 1)
            }
            out[cell] =
              batch[cell].count > 0
              ? (1 - weight) * old[flat: cell] + weight * value(batch[cell]) : old[flat: cell]
          }
        })
    }
    var results = [averaged(real(1), \.mean), averaged(real(2), \.unbiasedVariance)]
    if let batches {
      results.append(
        .real(
          DoubleTensor(uninitialized: batches.shape) { out in
            for cell in out.indices {
              out[cell] = batches[flat: cell] + (batch[cell].count > 0 ? 1 : 0)
            }
          }))
    }
    return results
  }

  private func cellMap(
    _ partition: Partition, of index: Int, labels: Int?, weights: Int? = nil
  ) throws(KeelError) -> CellMap {
    var indices: IndexTensor?
    if let labels, case .int64(let tensor) = operands[labels] { indices = tensor }
    return try CellMap(
      partition, of: real(index).shape, labels: indices, weights: real(weights), at: node.label)
  }

  /// One value in a cell is its own mean.
  private func checkCounts(
    _ moments: [Moments], _ normalization: Normalization, of x: Int
  ) throws(KeelError) {
    guard normalization.operation.needsSeveralValues else { return }
    let expected = "more than one value per \(normalization.partition.cellName)"
    let singles = moments.indices.filter { moments[$0].count == 1 }
    guard singles.count < moments.count else {
      throw KeelError(.shape, at: node.label, expected: expected, found: "\(operands[x].shape)")
    }
    if let cell = singles.first {
      throw KeelError(.value, at: node.label, expected: expected, found: "1 in cell \(cell)")
    }
  }

  private func givenStatistics(_ mean: Int, _ variance: Int, _ normalization: Normalization)
    throws(KeelError) -> [Moments]
  {
    let (mean, variance) = (real(mean), real(variance))
    for (cell, v) in variance.elements.enumerated()
    where !(v + Double(normalization.epsilon) > 0 && v.isFinite) {
      throw KeelError(
        .value, at: node.label,
        expected: "finite variances with variance + \(normalization.epsilon) > 0",
        found: "\(v) in cell \(cell)")
    }
    for (cell, m) in mean.elements.enumerated() where !m.isFinite {
      throw KeelError(
        .value, at: node.label, expected: "finite means", found: "\(m) in cell \(cell)")
    }
    return zip(mean.elements, variance.elements).map {
      Moments(count: 1, mean: $0, squaredDeviations: $1)
    }
  }
}
