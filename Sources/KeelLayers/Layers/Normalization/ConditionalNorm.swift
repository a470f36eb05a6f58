import KeelGraph
import KeelTensor

/// Normalizes without affine, then scales and shifts as a condition of the sample says:
/// y = scale[s]·z + shift[s].
///
/// A condition is one index per sample (int64, from 0 to conditions − 1), or weights of all conditions per
/// sample (float32 N×conditions), which blend the rows of the tables. z is x standardized over a partition
/// within samples, instance norm's unless told. One condition is that norm with affine; an index out of range
/// is thrown when the graph is run. For one network of many styles or classes. Over the batch, it is `BatchNorm` without affine, called with rows of a
/// table from outside.
///
/// Dumoulin, Shlens and Kudlur 2017, arXiv 1610.07629.
public struct ConditionalNorm: Sendable {
  /// γ, conditions×C; starts at 1.
  public let scale: Parameter
  /// β, conditions×C; starts at 0.
  public let shift: Parameter
  /// C.
  public let channels: Int
  /// The number of conditions.
  public let conditions: Int
  /// Which elements share statistics.
  public let partition: Partition
  /// ε under the root.
  public let epsilon: Float

  /// Makes a norm of conditions. Sizes below 1, a partition across samples and an ε that is negative or not finite
  /// are thrown when the graph is made.
  public init(
    _ channels: Int, conditions: Int, partition: Partition = .instance, epsilon: Float = 1e-5
  ) {
    scale = filled(1, [conditions, channels])
    shift = filled(0, [conditions, channels])
    self.channels = channels
    self.conditions = conditions
    self.partition = partition
    self.epsilon = epsilon
  }

  /// Records the normalization; `condition` is N indices or N×conditions weights.
  public func callAsFunction(_ x: Variable, condition: Variable) -> Variable {
    let trace = x.trace
    let place = trace.place(of: scale, kind: "ConditionalNorm")
    return trace.recording { () throws(KeelError) in
      try x.checkChannels(channels, at: place)
      try trace.check(
        partition.isWithinSamples, at: place, expected: "a partition within samples",
        found: "statistics of each \(partition.cellName)")
      guard let type = x.type, let given = condition.type else { return trace.nothing() }
      let indices = ValueType(.int64, [type.extents[0]])
      let weights = ValueType([type.extents[0], .fixed(conditions)])
      try trace.check(
        given == indices || given == weights, .shape, at: place,
        expected: "conditions \(indices) or weights of them \(weights)", found: "\(given)")
      func row(_ table: Parameter) -> Variable {
        let table = trace.variable(table)
        if given == indices { return table.selected(condition) }
        let columns = trace.apply(.transpose(permutation: [1, 0]), [table], label: place)
        return trace.apply(.linear(Epilogue()), [condition] + columns, label: place)[0]
      }
      return x.normalized(
        partition, operation: .standardize(epsilon: epsilon), scale: row(scale),
        shift: row(shift), per: .samples, label: place)
    }
  }
}

/// Instance norm whose scale and shift come from outside: y = scale·(x − mean)/√(variance + ε) + shift. For style
/// transfer to any style, and generators that a vector steers.
///
/// Scale and shift are per sample and channel, N×C (a style's, StyleGAN's, self-modulation's), or of the
/// shape of x (predicted maps); gradients flow to them. From another feature map they are its deviations
/// √(variance + ε) and means per sample and channel, so that the result has its statistics; its extents
/// between batch and channels may be others.
///
/// Huang and Belongie 2017, arXiv 1703.06868.
public struct AdaptiveInstanceNorm: Sendable {
  /// ε under the roots.
  public let epsilon: Float

  /// Makes the norm.
  public init(epsilon: Float = 1e-5) { self.epsilon = epsilon }

  /// Records the normalization with a scale and shift from outside.
  public func callAsFunction(_ x: Variable, scale: Variable, shift: Variable) -> Variable {
    let trace = x.trace
    let place = "AdaptiveInstanceNorm after \(trace.lastLayer)"
    return trace.recording { () throws(KeelError) in
      let extent = try OutsideRecovery(scale: scale, shift: shift).extent(for: x, at: place)
      return x.normalized(
        .instance, operation: .standardize(epsilon: epsilon), scale: scale, shift: shift,
        per: extent, label: place)
    }
  }

  /// Records the normalization with the statistics of a style's features.
  /// - Parameter strength: α of a blend α·y + (1 − α)·x.
  public func callAsFunction(_ x: Variable, style: Variable, strength: Float = 1) -> Variable {
    let moments = style.moments(.instance)
    let y = self(
      x, scale: (moments.momentsVariance() + epsilon).squareRoot(), shift: moments.momentsMean)
    return strength == 1 ? y : y * strength + x * (1 - strength)
  }
}
