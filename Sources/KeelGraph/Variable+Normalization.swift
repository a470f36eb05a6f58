import KeelTensor

/// Normalizations: the algebra of `Normalization` on variables. Named methods are compositions of these.
extension Variable {
  /// Normalizes by the statistics of each cell of this variable: y = f(scale·(x − m)/s + shift + residual).
  ///
  /// - Parameters:
  ///   - partition: which elements share statistics.
  ///   - operation: what the statistics do.
  ///   - scale: γ, as `extent` says; 1 where nil.
  ///   - shift: β, as `extent` says; 0 where nil.
  ///   - extent: what scale and shift belong to.
  ///   - labels: int64, one per sample or per position, of a partition by labels.
  ///   - residual: added before the activation; of the shape of x.
  ///   - activation: ReLU or nil.
  ///   - label: the layer's path, for messages.
  public func normalized(
    _ partition: Partition, operation: Normalization.Operation = .standardize(epsilon: 1e-5),
    scale: Variable? = nil, shift: Variable? = nil,
    per extent: Normalization.Recovery.Extent = .channels, labels: Variable? = nil,
    residual: Variable? = nil, activation: Activation? = nil, label: String? = nil
  ) -> Variable {
    normalizedWithMoments(
      partition, operation: operation, scale: scale, shift: shift, per: extent, labels: labels,
      residual: residual, activation: activation, label: label
    ).y
  }

  /// The same, with the moments of the cells in the layout of `MomentsLayout`.
  public func normalizedWithMoments(
    _ partition: Partition, operation: Normalization.Operation = .standardize(epsilon: 1e-5),
    scale: Variable? = nil, shift: Variable? = nil,
    per extent: Normalization.Recovery.Extent = .channels, labels: Variable? = nil,
    residual: Variable? = nil, activation: Activation? = nil, label: String? = nil
  ) -> (y: Variable, moments: Variable) {
    let results = normalized(
      .current, by: [], partition, operation, scale, shift, extent, labels, residual, activation,
      label)
    return (results[0], results[1])
  }

  /// Normalizes by given moments of the cells: merged over shards, mixed, weighted, of another variable.
  /// Gradients flow to them.
  public func normalized(
    by moments: Variable, _ partition: Partition,
    operation: Normalization.Operation = .standardize(epsilon: 1e-5), scale: Variable? = nil,
    shift: Variable? = nil, per extent: Normalization.Recovery.Extent = .channels,
    labels: Variable? = nil, residual: Variable? = nil, activation: Activation? = nil,
    label: String? = nil
  ) -> Variable {
    normalized(
      .moments, by: [moments], partition, operation, scale, shift, extent, labels, residual,
      activation, label)[0]
  }

  /// Normalizes by a given mean and variance of each cell, which are constants to gradients.
  public func normalized(
    mean: Variable, variance: Variable, _ partition: Partition = .batch,
    operation: Normalization.Operation = .standardize(epsilon: 1e-5), scale: Variable? = nil,
    shift: Variable? = nil, per extent: Normalization.Recovery.Extent = .channels,
    labels: Variable? = nil, residual: Variable? = nil, activation: Activation? = nil,
    label: String? = nil
  ) -> Variable {
    normalized(
      .given, by: [mean, variance], partition, operation, scale, shift, extent, labels, residual,
      activation, label)[0]
  }

  private func normalized(
    _ statistics: Normalization.Statistics, by given: [Variable], _ partition: Partition,
    _ operation: Normalization.Operation, _ scale: Variable?, _ shift: Variable?,
    _ extent: Normalization.Recovery.Extent, _ labels: Variable?, _ residual: Variable?,
    _ activation: Activation?, _ label: String?
  ) -> [Variable] {
    let place = label ?? "normalization after \(trace.lastLayer)"
    do throws(KeelError) {
      guard partition.hasLabels == (labels != nil) else {
        throw KeelError(
          .argument, at: place,
          expected: partition.hasLabels ? "labels for a partition by labels" : "no labels",
          found: labels == nil ? "none" : "some")
      }
      let normalization = try Normalization(
        partition: partition, statistics: statistics, operation: operation,
        recovery: .init(extent, scale: scale != nil, shift: shift != nil),
        epilogue: Epilogue(hasResidual: residual != nil, activation: activation), place: place)
      let before = [self] + [labels].compactMap { $0 } + given
      let after = [scale, shift, residual].compactMap { $0 }
      return trace.apply(.normalization(normalization), before + after, label: label)
    } catch {
      trace.fail(error)
      return [trace.nothing(), trace.nothing()]
    }
  }

  /// Subtracts from each element of a matrix the means of its row and its column and adds the mean of all:
  /// all rows and columns then add up to 0 (classical scaling's double centering; Torgerson 1952).
  public func doubleCentered() -> Variable {
    guard let type else { return self }
    guard type.rank == 2 else {
      trace.fail(
        KeelError(
          .shape, at: "double centering after \(trace.lastLayer)",
          expected: "a matrix of rows×columns", found: "\(type)"))
      return trace.nothing()
    }
    return normalized(.batch, operation: .center).normalized(.position, operation: .center)
  }

  /// The same values, through which no gradient flows.
  public func detached() -> Variable { trace.apply(.detachment, [self])[0] }

  /// The rows of this table R×… at int64 indices from 0 to R − 1: the extents of the indices, then those of a
  /// row. An index out of range is thrown when the graph is run.
  public func selected(_ indices: Variable) -> Variable {
    trace.apply(.selection, [self, indices])[0]
  }
}
