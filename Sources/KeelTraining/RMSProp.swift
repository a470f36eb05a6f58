internal import KeelKernels
public import KeelTensor

/// Gradients over the root of their running mean square, as PyTorch defines it:
///
/// g ← g + weightDecay·w, s ← alpha·s + (1 − alpha)·g², w ← w − rate·d with d = g/(√s + epsilon).
///
/// Centered, the root is that of the running variance s − a², with a ← alpha·a + (1 − alpha)·g. With
/// momentum, u ← momentum·u + d and w ← w − rate·u. All start at 0.
///
/// Centered, the slot holds the variance itself, which obeys s ← alpha·(s + (1 − alpha)·(g − a)²) with the
/// a before the step: the difference of two nearly equal numbers would lose its digits, and could fall
/// below 0.
///
/// Tieleman and Hinton 2012; centered: Graves 2013, arXiv 1308.0850.
public struct RMSProp: Optimizer {
  /// The learning rate of each step.
  public let learningRate: any LearningRateSchedule
  /// The weight of the old mean square in the new one.
  public let alpha: Double
  /// ε, outside the root.
  public let epsilon: Double
  /// Whether the mean gradient is taken off.
  public let centered: Bool
  /// The weight of the old velocity in the new one.
  public let momentum: Double
  /// The factor by which weights are added to their gradients.
  public let weightDecay: Double

  /// Makes an optimizer with a schedule.
  /// - Throws: `KeelError` of kind `argument` for an alpha or momentum outside 0..<1, an epsilon that is
  ///   not above 0 as a Float, or a weight decay that is negative or not finite.
  public init(
    learningRate: any LearningRateSchedule, alpha: Double = 0.99, epsilon: Double = 1e-8,
    centered: Bool = false, momentum: Double = 0, weightDecay: Double = 0
  ) throws(KeelError) {
    try checkMeanWeight(alpha, "an alpha", at: "RMSProp")
    try checkEpsilon(epsilon, at: "RMSProp")
    try checkMeanWeight(momentum, "a momentum", at: "RMSProp")
    try check(weightDecay, "weight decay", at: "RMSProp")
    self.learningRate = learningRate
    self.alpha = alpha
    self.epsilon = epsilon
    self.centered = centered
    self.momentum = momentum
    self.weightDecay = weightDecay
  }

  /// Makes an optimizer with one learning rate throughout.
  /// - Throws: as the initializer with a schedule, and for a rate that is negative or not finite.
  public init(
    learningRate: Double, alpha: Double = 0.99, epsilon: Double = 1e-8, centered: Bool = false,
    momentum: Double = 0, weightDecay: Double = 0
  ) throws(KeelError) {
    try check(learningRate, "learning rate", at: "RMSProp")
    try self.init(
      learningRate: ConstantSchedule(learningRate), alpha: alpha, epsilon: epsilon,
      centered: centered, momentum: momentum, weightDecay: weightDecay)
  }

  /// The mean square, or the variance and the mean where centered; the velocity where there is momentum.
  public var slotNames: [String] {
    (centered ? ["variance", "mean"] : ["square"]) + (momentum > 0 ? ["velocity"] : [])
  }

  /// Takes one step in place.
  public func step(
    _ step: OptimizerStep, weight: inout MutableSpan<Float>, slots: inout MutableSpan<Float>,
    gradient: Span<Float>
  ) {
    OptimizerKernel.rmsProp(
      &weight, slots: &slots, gradient: gradient, rate: Float(step.rate), alpha: Float(alpha),
      epsilon: Float(epsilon), centered: centered, momentum: momentum > 0 ? Float(momentum) : nil,
      decay: Float(step.weightDecay))
  }

  /// Takes one step in Double.
  public func referenceStep(
    _ step: OptimizerStep, weight: inout [Double], slots: inout [[Double]], gradient: [Double]
  ) {
    checkCounts(weight, slots, gradient)
    for i in weight.indices {
      let g = gradient[i] + step.weightDecay * weight[i]
      if centered {
        let distance = g - slots[1][i]
        slots[0][i] = alpha * (slots[0][i] + (1 - alpha) * distance * distance)
        slots[1][i] += (1 - alpha) * distance
      } else {
        slots[0][i] = alpha * slots[0][i] + (1 - alpha) * g * g
      }
      var d = g / (slots[0][i].squareRoot() + epsilon)
      if momentum > 0 {
        d += momentum * slots[slots.count - 1][i]
        slots[slots.count - 1][i] = d
      }
      weight[i] -= step.rate * d
    }
  }
}
