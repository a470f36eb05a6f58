import KeelTensor

/// The losses of `Loss.Kind`, which has their formulas. Each gives a scalar; with reduction `none` a value
/// for each element or row.
extension Variable {
  /// Softmax along the last axis.
  public func softmax() -> Variable { trace.apply(.softmax, [self])[0] }

  /// The logarithm of softmax along the last axis.
  public func logSoftmax() -> Variable { trace.apply(.logSoftmax, [self])[0] }

  /// A loss of this prediction.
  /// - Parameter operands: targets or labels, weights: what the kind takes after the prediction.
  public func loss(_ loss: Loss, _ operands: Variable...) -> Variable {
    trace.apply(.loss(loss), [self] + operands)[0]
  }

  /// (f − y)²: with the mean, MSE.
  public func squaredError(_ target: Variable, reduction: Loss.Reduction = .mean) -> Variable {
    loss(Loss(.squaredError, reduction: reduction), target)
  }

  /// |f − y|.
  public func absoluteError(_ target: Variable, reduction: Loss.Reduction = .mean) -> Variable {
    loss(Loss(.absoluteError, reduction: reduction), target)
  }

  /// Smooth L1: quadratic below β.
  public func smoothL1(
    _ target: Variable, beta: Float = 1, reduction: Loss.Reduction = .mean
  ) -> Variable {
    loss(Loss(.smoothL1(beta: beta), reduction: reduction), target)
  }

  /// Huber: quadratic up to δ.
  public func huber(
    _ target: Variable, delta: Float = 1, reduction: Loss.Reduction = .mean
  ) -> Variable {
    loss(Loss(.huber(delta: delta), reduction: reduction), target)
  }

  /// Negative log-likelihood of log-probabilities N×…×K with labels N×….
  /// - Parameters:
  ///   - weights: one for each class.
  ///   - ignoring: the label of rows that do not count.
  public func negativeLogLikelihood(
    labels: Variable, weights: Variable? = nil, ignoring: Int64? = nil,
    reduction: Loss.Reduction = .mean
  ) -> Variable {
    weighted(.negativeLogLikelihood(ignoring: ignoring), labels, weights, reduction)
  }

  /// Cross-entropy of logits N×…×K with labels N×….
  /// - Parameters:
  ///   - weights: one for each class.
  ///   - smoothing: the share of the target that is spread over all classes.
  ///   - ignoring: the label of rows that do not count.
  public func crossEntropy(
    labels: Variable, weights: Variable? = nil, smoothing: Float = 0, ignoring: Int64? = nil,
    reduction: Loss.Reduction = .mean
  ) -> Variable {
    weighted(.crossEntropy(smoothing: smoothing, ignoring: ignoring), labels, weights, reduction)
  }

  /// Cross-entropy of logits with a distribution over the classes for each row.
  public func crossEntropy(
    targets: Variable, weights: Variable? = nil, smoothing: Float = 0,
    reduction: Loss.Reduction = .mean
  ) -> Variable {
    weighted(.softCrossEntropy(smoothing: smoothing), targets, weights, reduction)
  }

  /// log(1 + e^(−y·z)) of logits with signs ±1.
  public func logistic(signs: Variable, reduction: Loss.Reduction = .mean) -> Variable {
    loss(Loss(.logistic, reduction: reduction), signs)
  }

  /// Binary cross-entropy of logits with targets in [0, 1].
  /// - Parameter positiveWeights: of positive targets: one for each class (the last axis), or one.
  public func binaryCrossEntropy(
    targets: Variable, positiveWeights: Variable? = nil, reduction: Loss.Reduction = .mean
  ) -> Variable {
    weighted(.binaryCrossEntropy, targets, positiveWeights, reduction)
  }

  /// Focal loss of logits with targets 0 or 1.
  public func binaryFocal(
    targets: Variable, gamma: Float = 2, alpha: Float? = nil, reduction: Loss.Reduction = .mean
  ) -> Variable {
    loss(Loss(.binaryFocal(gamma: gamma, alpha: alpha), reduction: reduction), targets)
  }

  /// Focal loss of logits N×…×K with labels N×….
  public func focal(
    labels: Variable, weights: Variable? = nil, gamma: Float = 2, ignoring: Int64? = nil,
    reduction: Loss.Reduction = .mean
  ) -> Variable {
    weighted(.focal(gamma: gamma, ignoring: ignoring), labels, weights, reduction)
  }

  /// The KL divergence of log-probabilities from targets: by default the sum over classes, averaged over
  /// the batch.
  public func klDivergence(
    targets: Variable, reduction: Loss.Reduction = .batchMean
  ) -> Variable {
    loss(Loss(.klDivergence, reduction: reduction), targets)
  }

  /// max(0, −y·(a − b) + margin), with signs y = 1 where this is to be above the other.
  public func marginRanking(
    over other: Variable, signs: Variable, margin: Float = 0, reduction: Loss.Reduction = .mean
  ) -> Variable {
    loss(Loss(.marginRanking(margin: margin), reduction: reduction), other, signs)
  }

  /// The entropy of softmax along the last axis.
  public func entropy(reduction: Loss.Reduction = .mean) -> Variable {
    loss(Loss(.entropy, reduction: reduction))
  }

  /// How far two views' logits are from agreeing on a class.
  public func minimumEntropyConsensus(
    with other: Variable, reduction: Loss.Reduction = .mean
  ) -> Variable {
    loss(Loss(.minimumEntropyConsensus, reduction: reduction), other)
  }

  private func weighted(
    _ kind: Loss.Kind, _ target: Variable, _ weights: Variable?, _ reduction: Loss.Reduction
  ) -> Variable {
    let loss = Loss(kind, reduction: reduction, hasWeights: weights != nil)
    return trace.apply(.loss(loss), [self, target] + (weights.map { [$0] } ?? []))[0]
  }
}
