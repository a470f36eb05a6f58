/// What a prediction costs: a kind, and how its values become one number.
///
/// Two sorts of kinds. **Pointwise** ones have a value for each element, and every operand has the shape
/// of the first. **Row** kinds have one for each row along the last axis, the classes; the first operand is
/// N×…×K of any rank from 1, so N×H×W×K is a loss per pixel.
///
/// Operands: what is predicted (logits, log-probabilities, values), then targets or labels, then weights or
/// signs where there are any. Gradients exist with respect to what is predicted, and to both sides of the
/// distances, of ranking and of consensus; targets in [0, 1], weights, signs and labels have none.
///
/// Numerics: log Σ exp with the largest logit subtracted, log(1 + e^−|z|), so logits of ±10⁴ are as exact as
/// small ones; sums over rows in Double. NaN reaches the loss. Infinite logits are as IEEE has them: the
/// class of −∞ costs ∞, and +∞ gives NaN.
///
/// Errors: a label outside 0..<K that is not ignored, and parameters out of range.
public struct Loss: Hashable, Sendable {
  /// What is computed.
  public enum Kind: Hashable, Sendable {
    /// (f, y) → (f − y)². Symmetric: y has a gradient, too. The seed sums; the mean is MSE.
    case squaredError
    /// (f, y) → |f − y|; its derivative at 0 is 0. Symmetric.
    case absoluteError
    /// (f, y) → e²/(2β) for |e| < β, otherwise |e| − β/2, with e = f − y and β at least 0. Symmetric.
    /// (Girshick 2015, 1504.08083. A "+ β/2", as is sometimes written, would jump at |e| = β.)
    case smoothL1(beta: Float = 1)
    /// (f, y) → e²/2 for |e| ≤ δ, otherwise δ·(|e| − δ/2), with e = f − y and δ above 0: δ times
    /// `smoothL1`. Symmetric.
    case huber(delta: Float = 1)
    /// (log-probabilities ℓ, labels, weights?) → −w[y]·ℓ[y].
    case negativeLogLikelihood(ignoring: Int64? = nil)
    /// (logits, labels, weights?) → −Σ_k t[k]·log softmax(z)[k] with t[k] = (1 − ε)·w[y]·[k = y] + ε/K·w[k],
    /// ε the smoothing; without it −w[y]·log softmax(z)[y].
    case crossEntropy(smoothing: Float = 0, ignoring: Int64? = nil)
    /// (logits, targets q of the same shape, weights?) → −Σ_k w[k]·((1 − ε)·q[k] + ε/K)·log softmax(z)[k].
    case softCrossEntropy(smoothing: Float = 0)
    /// (logits, signs y = ±1) → log(1 + e^(−y·z)).
    case logistic
    /// (logits, targets t in [0, 1], positive weights p?) →
    /// p·t·log(1 + e^−z) + (1 − t)·log(1 + e^z): with p = 1, −t·log σ(z) − (1 − t)·log(1 − σ(z)).
    case binaryCrossEntropy
    /// (logits, targets t) → −α_t·(1 − P)^γ·log P, with P = σ(z), α_t = α where t > ½ and P = 1 − σ(z),
    /// α_t = 1 − α elsewhere; without α the factor is 1 (Lin et al. 2017, 1708.02002). γ = 0 is binary
    /// cross-entropy.
    case binaryFocal(gamma: Float = 2, alpha: Float? = nil)
    /// (logits, labels, weights?) → −w[y]·(1 − P)^γ·log P, with P = softmax(z)[y]. γ = 0 is cross-entropy.
    case focal(gamma: Float = 2, ignoring: Int64? = nil)
    /// (log-probabilities ℓ, targets q) → q·(log q − ℓ), 0 where q = 0 even if ℓ = −∞. The divergence
    /// between distributions is the sum over classes, so `batchMean`, for rows N×K; `mean` divides by the
    /// classes, too, as PyTorch's default does.
    case klDivergence
    /// (a, b, signs y = ±1) → max(0, −y·(a − b) + margin): y = 1 asks for a above b. At the corner the
    /// pair still counts, so equal values without margin are pushed apart, as PyTorch has it.
    case marginRanking(margin: Float = 0)
    /// (logits) → −Σ_k p[k]·log p[k] with p = softmax(z), 0·log 0 = 0: the loss of Tent
    /// (Wang et al. 2021, 2006.10726).
    case entropy
    /// (logits z, logits z′ of a second view) → min_k ½·(−log p[k] − log p′[k]): two views agree on a
    /// class (Roy et al. 2019, 1903.03215). The first of equal classes counts.
    case minimumEntropyConsensus
  }

  /// How the values become the result.
  public enum Reduction: String, Hashable, Sendable, CaseIterable {
    /// Not at all: a value for each element, or for each row.
    case none
    /// Their sum.
    case sum
    /// Pointwise: the sum by the number of elements. Rows: by the number of rows. Labels: by Σ w[y] over
    /// rows that are not ignored, so by their number where there are no weights; NaN where all are ignored.
    case mean
    /// The sum by the first extent.
    case batchMean
  }

  /// What is computed.
  public var kind: Kind
  /// How the values become the result.
  public var reduction: Reduction
  /// Whether weights are the last operand: K of them, one for each class; for binary cross-entropy, of
  /// positive targets, K for the last axis or one for all.
  public var hasWeights: Bool

  /// Makes a loss; `validate` checks it.
  public init(_ kind: Kind, reduction: Reduction = .mean, hasWeights: Bool = false) {
    self.kind = kind
    self.reduction = reduction
    self.hasWeights = hasWeights
  }
}

extension Loss {
  /// The name in the field's terms, for messages and reports.
  public var name: String {
    switch kind {
    case .squaredError: "squared error"
    case .absoluteError: "absolute error"
    case .smoothL1: "smooth L1"
    case .huber: "Huber"
    case .negativeLogLikelihood: "negative log-likelihood"
    case .crossEntropy, .softCrossEntropy: "cross-entropy"
    case .logistic: "logistic"
    case .binaryCrossEntropy: "binary cross-entropy"
    case .binaryFocal: "binary focal"
    case .focal: "focal"
    case .klDivergence: "KL divergence"
    case .marginRanking: "margin ranking"
    case .entropy: "entropy"
    case .minimumEntropyConsensus: "minimum-entropy consensus"
    }
  }

  /// Whether the second operand is int64 labels.
  public var takesLabels: Bool {
    switch kind {
    case .negativeLogLikelihood, .crossEntropy, .focal: true
    default: false
    }
  }

  /// Whether there is a value for each row, not for each element.
  public var isAlongRows: Bool {
    switch kind {
    case .softCrossEntropy, .entropy, .minimumEntropyConsensus: true
    default: takesLabels
    }
  }

  /// Whether weights can be an operand.
  public var canHaveWeights: Bool {
    switch kind {
    case .softCrossEntropy, .binaryCrossEntropy: true
    default: takesLabels
    }
  }

  /// The label of rows that do not count.
  public var ignoredLabel: Int64? {
    switch kind {
    case .negativeLogLikelihood(let label), .crossEntropy(_, let label), .focal(_, let label): label
    default: nil
    }
  }

  /// ε of label smoothing.
  public var smoothing: Float {
    switch kind {
    case .crossEntropy(let smoothing, _), .softCrossEntropy(let smoothing): smoothing
    default: 0
    }
  }

  /// Whether the two operands can change places.
  public var isSymmetric: Bool {
    switch kind {
    case .squaredError, .absoluteError, .smoothL1, .huber: true
    default: false
    }
  }

  /// The number of operands.
  public var operandCount: Int {
    switch kind {
    case .entropy: 1
    case .marginRanking: 3
    default: hasWeights ? 3 : 2
    }
  }

  /// The number of results of the gradient: one for each side where there are two that differ.
  public var gradientCount: Int {
    switch kind {
    case .marginRanking, .minimumEntropyConsensus: 2
    default: 1
    }
  }

  /// Checks the parameters.
  /// - Throws: `KeelError` of kind `argument` for a parameter out of range, or weights where there are none.
  public func validate(at place: String) throws(KeelError) {
    func require(_ condition: Bool, _ expected: String, _ found: Float) throws(KeelError) {
      guard condition else {
        throw KeelError(
          .argument, at: place, expected: "\(expected) for \(name)", found: "\(found)")
      }
    }
    guard !hasWeights || canHaveWeights else {
      throw KeelError(.argument, at: place, expected: "no weights for \(name)", found: "weights")
    }
    try require(
      smoothing >= 0 && smoothing <= 1, "a smoothing from 0 to 1", smoothing)
    switch kind {
    case .smoothL1(let beta):
      try require(beta >= 0 && beta.isFinite, "a finite beta of at least 0", beta)
    case .huber(let delta):
      try require(delta > 0 && delta.isFinite, "a finite delta above 0", delta)
    case .binaryFocal(let gamma, let alpha):
      try require(gamma >= 0 && gamma.isFinite, "a finite gamma of at least 0", gamma)
      if let alpha { try require(alpha >= 0 && alpha <= 1, "an alpha from 0 to 1", alpha) }
    case .focal(let gamma, _):
      try require(gamma >= 0 && gamma.isFinite, "a finite gamma of at least 0", gamma)
    case .marginRanking(let margin): try require(margin.isFinite, "a finite margin", margin)
    default: return
    }
  }
}
