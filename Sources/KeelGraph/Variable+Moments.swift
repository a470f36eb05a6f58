import KeelTensor

/// Moments of cells as variables: tables of four rows in the layout of `MomentsLayout`.
extension Variable {
  /// The moments of the cells of a partition.
  /// - Parameters:
  ///   - labels: int64, one per sample or per position, of a partition by labels.
  ///   - weights: at least 0, one per sample or per position; no gradient reaches them.
  public func moments(
    _ partition: Partition, labels: Variable? = nil, weights: Variable? = nil,
    label: String? = nil
  ) -> Variable {
    let operands = [self] + [labels, weights].compactMap { $0 }
    return trace.apply(
      .moments(partition, isWeighted: weights != nil), operands, label: label)[0]
  }

  /// The moments that several tables make together, broadcast against each other.
  /// - Parameters:
  ///   - weights: what `MomentsMixture` asks for: none to merge, ω and ω′ to average, ω to pool; each K, or
  ///     K×C.
  /// - Precondition: at least one table.
  public static func mixed(
    _ kind: MomentsMixture.Kind, _ moments: [Variable], weights: [Variable] = [],
    label: String? = nil
  ) -> Variable {
    precondition(!moments.isEmpty, "expected at least 1 table of moments to mix, found none")
    return moments[0].trace.apply(
      .mixedMoments(MomentsMixture(kind, count: moments.count)), moments + weights, label: label)[0]
  }

  /// The mean of each cell of moments.
  public var momentsMean: Variable {
    momentsRow(MomentsLayout.mean) + momentsRow(MomentsLayout.meanResidual)
  }

  /// Σ(x − mean)²/n of each cell of moments, or Σ(x − mean)²/(n − 1).
  public func momentsVariance(unbiased: Bool = false) -> Variable {
    let count = momentsRow(MomentsLayout.count)
    return momentsRow(MomentsLayout.squaredDeviations) / (unbiased ? count - 1 : count)
  }

  /// One row of moments, in the extents of the cells.
  public func momentsRow(_ row: Int) -> Variable {
    guard let type else { return self }
    return trace.apply(
      .reshape(Array(type.extents.dropFirst())), [sliced(axis: 0, from: row, count: 1)])[0]
  }

  /// The moments of cells from their mean and variance, in the extents of the cells.
  /// - Parameter count: the elements behind each cell; 1 where only mean and variance matter.
  public static func moments(mean: Variable, variance: Variable, count: Float = 1) -> Variable {
    let trace = mean.trace
    guard let cells = mean.type?.extents else { return mean }
    func row(_ value: Variable) -> Variable { trace.apply(.reshape([1] + cells), [value])[0] }
    func constant(_ value: Float) -> Variable { trace.apply(.fill(value, [1] + cells), [])[0] }
    return concatenation(
      [constant(count), row(mean), constant(0), row(variance * count)], axis: 0)
  }
}
