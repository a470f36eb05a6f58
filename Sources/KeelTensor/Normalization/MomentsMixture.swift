/// How moments of several partitions, batches or domains become one.
///
/// With K tables of mean mₖ, variance vₖ and count nₖ, broadcast against each other, and weights ω, ω′:
///
/// | kind | mean | variance | count |
/// |---|---|---|---|
/// | `merged` | Σ nₖmₖ/n | Σ nₖ(vₖ + (mₖ − m)²)/n | n = Σ nₖ |
/// | `averaged` | Σ ωₖmₖ | Σ ω′ₖvₖ | 1 |
/// | `pooled` | Σ ωₖmₖ | Σ ωₖ(vₖ + (mₖ − m)²) | 1 |
///
/// Merging is what shards of a synchronized norm do (Peng et al. 2018, 1711.07240); averaging is what DSON
/// (Seo et al. 2020, 1907.04275) and adaptation to corruption (Schneider et al. 2020, 2006.16971) do;
/// pooling, the moments of a mixture of distributions, is AutoDIAL's (Carlucci et al. 2017, 1704.08082).
public struct MomentsMixture: Hashable, Sendable {
  /// The rule.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// All elements together.
    case merged
    /// Means and variances, each by weights of its own.
    case averaged
    /// The mixture of distributions, by one set of weights.
    case pooled
  }

  /// The rule.
  public let kind: Kind
  /// The number of tables K.
  public let count: Int

  /// Makes a mixture of a number of tables; graphs refuse one of none.
  public init(_ kind: Kind, count: Int) {
    self.kind = kind
    self.count = count
  }

  /// The number of operands of weights, each K or K×C.
  public var weightOperands: Int {
    switch kind {
    case .merged: 0
    case .averaged: 2
    case .pooled: 1
    }
  }

  /// The number of operands.
  public var operandCount: Int { count + weightOperands }

  /// Checks the count.
  /// - Throws: `KeelError` of kind `argument`.
  public func validate(at place: String) throws(KeelError) {
    guard count >= 1 else {
      throw KeelError(
        .argument, at: place, expected: "moments to mix, at least one table", found: "\(count)")
    }
  }
}

/// How running statistics follow those of batches.
///
/// The mean is the batch's, the variance the batch's unbiased one, Σ(x − mean)²/(n − 1); a cell without
/// elements leaves its running statistics alone.
public enum RunningAverage: Hashable, Sendable {
  /// running ← (1 − m)·running + m·new: m is the weight of the new value, as in PyTorch.
  case momentum(Float)
  /// The plain average over batches, t ← t + 1, running ← running + (new − running)/t (PyTorch's momentum
  /// None). It lacks the variance between the batches' means: merge `Moments` where that matters.
  case cumulative

  /// Checks the momentum.
  /// - Throws: `KeelError` of kind `argument`.
  public func validate(at place: String) throws(KeelError) {
    guard case .momentum(let momentum) = self else { return }
    guard momentum >= 0, momentum <= 1 else {
      throw KeelError(
        .argument, at: place, expected: "a momentum from 0 to 1 (the weight of the new value)",
        found: "\(momentum)")
    }
  }
}
