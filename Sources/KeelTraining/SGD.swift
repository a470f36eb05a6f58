internal import KeelKernels
public import KeelTensor

/// Stochastic gradient descent with momentum, as PyTorch defines it:
///
/// g ← g + weightDecay·w, v ← momentum·v + g, w ← w − rate·(nesterov ? g + momentum·v : v), with v = 0
/// at first.
///
/// The rate is not inside v: a change of it acts at once, which differs from the form of Sutskever et
/// al. 2013.
public struct SGD: Optimizer {
  /// The learning rate of each step.
  public let learningRate: any LearningRateSchedule
  /// The weight of the old velocity in the new one.
  public let momentum: Double
  /// Whether to step along the gradient and the velocity it has made.
  public let nesterov: Bool
  /// The factor by which weights are added to their gradients.
  public let weightDecay: Double

  /// Makes an optimizer with a schedule.
  /// - Throws: `KeelError` of kind `argument` for a momentum outside 0..<1, a weight decay that is
  ///   negative or not finite, or Nesterov's form without momentum.
  public init(
    learningRate: any LearningRateSchedule, momentum: Double = 0, nesterov: Bool = false,
    weightDecay: Double = 0
  ) throws(KeelError) {
    guard momentum >= 0, momentum < 1 else {
      throw KeelError(
        .argument, at: "SGD", expected: "a momentum of at least 0 and below 1",
        found: "\(momentum)")
    }
    try check(weightDecay, "weight decay", at: "SGD")
    guard !nesterov || momentum > 0 else {
      throw KeelError(
        .argument, at: "SGD", expected: "a momentum above 0 for Nesterov's form",
        found: "\(momentum)")
    }
    self.learningRate = learningRate
    self.momentum = momentum
    self.nesterov = nesterov
    self.weightDecay = weightDecay
  }

  /// Makes an optimizer with one learning rate throughout.
  /// - Throws: as the initializer with a schedule, and for a rate that is negative or not finite.
  public init(
    learningRate: Double, momentum: Double = 0, nesterov: Bool = false, weightDecay: Double = 0
  ) throws(KeelError) {
    try check(learningRate, "learning rate", at: "SGD")
    try self.init(
      learningRate: ConstantSchedule(learningRate), momentum: momentum, nesterov: nesterov,
      weightDecay: weightDecay)
  }

  /// The velocity.
  public var slotNames: [String] { ["velocity"] }

  /// Takes one step in place.
  public func step(
    _ step: OptimizerStep, weight: inout MutableSpan<Float>, slots: inout MutableSpan<Float>,
    gradient: Span<Float>
  ) {
    OptimizerKernel.sgd(
      &weight, slots: &slots, gradient: gradient, rate: Float(step.rate),
      momentum: Float(momentum), decay: Float(step.weightDecay), nesterov: nesterov)
  }

  /// Takes one step in Double.
  public func referenceStep(
    _ step: OptimizerStep, weight: inout [Double], slots: inout [[Double]], gradient: [Double]
  ) {
    checkCounts(weight, slots, gradient)
    for i in weight.indices {
      let g = gradient[i] + step.weightDecay * weight[i]
      slots[0][i] = momentum * slots[0][i] + g
      weight[i] -= step.rate * (nesterov ? g + momentum * slots[0][i] : slots[0][i])
    }
  }
}
