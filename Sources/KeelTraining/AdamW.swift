internal import KeelKernels
public import KeelTensor

/// Adam with decoupled weight decay, as PyTorch defines it; for step t = 1, 2, …:
///
/// w ← w − rate·weightDecay·w, m ← beta1·m + (1 − beta1)·g, v ← beta2·v + (1 − beta2)·g²,
/// w ← w − rate·m̂/(√v̂ + epsilon), with m̂ = m/(1 − beta1ᵗ), v̂ = v/(1 − beta2ᵗ) and m = v = 0 at first.
///
/// `Decay.coupled` is Adam proper, where the decay is part of the gradient: g ← g + weightDecay·w.
///
/// The fast update rounds beta1 and beta2 to Float once and corrects the bias of the rounded ones. What
/// decay takes off is subtracted, not a factor 1 − rate·weightDecay, which Float would round too coarsely.
///
/// Kingma and Ba 2015, arXiv 1412.6980; Loshchilov and Hutter 2019, arXiv 1711.05101.
public struct AdamW: Optimizer {
  /// Where weight decay enters.
  public enum Decay: Hashable, Sendable {
    /// It shrinks the weights beside the step: AdamW.
    case decoupled
    /// It is added to the gradient: Adam.
    case coupled
  }

  /// The learning rate of each step.
  public let learningRate: any LearningRateSchedule
  /// The weight of the old mean of gradients in the new one.
  public let beta1: Double
  /// The weight of the old mean of squared gradients in the new one.
  public let beta2: Double
  /// ε, outside the root.
  public let epsilon: Double
  /// How much weights are drawn towards 0.
  public let weightDecay: Double
  /// Where weight decay enters.
  public let decay: Decay

  /// Makes an optimizer with a schedule.
  /// - Throws: `KeelError` of kind `argument` for a beta outside 0..<1, an epsilon that is not above 0 as
  ///   a Float, or a weight decay that is negative or not finite.
  public init(
    learningRate: any LearningRateSchedule, beta1: Double = 0.9, beta2: Double = 0.999,
    epsilon: Double = 1e-8, weightDecay: Double = 0.01, decay: Decay = .decoupled
  ) throws(KeelError) {
    try checkMeanWeight(beta1, "a beta1", at: "AdamW")
    try checkMeanWeight(beta2, "a beta2", at: "AdamW")
    try checkEpsilon(epsilon, at: "AdamW")
    try check(weightDecay, "weight decay", at: "AdamW")
    self.learningRate = learningRate
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
    self.decay = decay
  }

  /// Makes an optimizer with one learning rate throughout.
  /// - Throws: as the initializer with a schedule, and for a rate that is negative or not finite.
  public init(
    learningRate: Double, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8,
    weightDecay: Double = 0.01, decay: Decay = .decoupled
  ) throws(KeelError) {
    try check(learningRate, "learning rate", at: "AdamW")
    try self.init(
      learningRate: ConstantSchedule(learningRate), beta1: beta1, beta2: beta2, epsilon: epsilon,
      weightDecay: weightDecay, decay: decay)
  }

  /// m and v.
  public var slotNames: [String] { ["mean", "square"] }

  /// Takes one step in place.
  public func step(
    _ step: OptimizerStep, weight: inout MutableSpan<Float>, slots: inout MutableSpan<Float>,
    gradient: Span<Float>
  ) {
    let (first, second) = (Float(beta1), Float(beta2))
    let steps = Double(step.index + 1)
    OptimizerKernel.adam(
      &weight, slots: &slots, gradient: gradient,
      rate: Float(step.rate / (1 - power(Double(first), steps))), beta1: first, beta2: second,
      root: Float(1 / (1 - power(Double(second), steps)).squareRoot()), epsilon: Float(epsilon),
      decay: decay == .coupled ? Float(step.weightDecay) : 0,
      shrink: decay == .decoupled ? Float(step.rate * step.weightDecay) : 0)
  }

  /// Takes one step in Double.
  public func referenceStep(
    _ step: OptimizerStep, weight: inout [Double], slots: inout [[Double]], gradient: [Double]
  ) {
    checkCounts(weight, slots, gradient)
    let steps = Double(step.index + 1)
    let (meanCorrection, squareCorrection) = (1 - power(beta1, steps), 1 - power(beta2, steps))
    for i in weight.indices {
      var g = gradient[i]
      switch decay {
      case .decoupled: weight[i] -= step.rate * step.weightDecay * weight[i]
      case .coupled: g += step.weightDecay * weight[i]
      }
      slots[0][i] = beta1 * slots[0][i] + (1 - beta1) * g
      slots[1][i] = beta2 * slots[1][i] + (1 - beta2) * g * g
      let root = (slots[1][i] / squareCorrection).squareRoot()
      weight[i] -= step.rate * (slots[0][i] / meanCorrection) / (root + epsilon)
    }
  }
}
