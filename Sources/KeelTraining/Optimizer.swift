internal import KeelTensor

/// How weights move along their gradients.
///
/// An optimizer holds options and no state: what it remembers of each weight is in slots that the caller
/// keeps, 0 at first. `step` is the fast update, `referenceStep` the same in Double, as it is defined.
public protocol Optimizer: Sendable {
  /// The learning rate of each step.
  var learningRate: any LearningRateSchedule { get }
  /// How much weights are drawn towards 0, where a parameter group does not say otherwise.
  var weightDecay: Double { get }
  /// The names of the numbers that are remembered of each weight, such as its velocity.
  var slotNames: [String] { get }

  /// Takes one step in place.
  /// - Parameters:
  ///   - slots: one array for each of `slotNames`, one after another, each of the weights' count.
  /// - Precondition: the counts fit.
  func step(
    _ step: OptimizerStep, weight: inout MutableSpan<Float>, slots: inout MutableSpan<Float>,
    gradient: Span<Float>)

  /// Takes one step in Double: the plain reference of `step`.
  /// - Parameters:
  ///   - slots: one array for each of `slotNames`.
  /// - Precondition: the counts fit.
  func referenceStep(
    _ step: OptimizerStep, weight: inout [Double], slots: inout [[Double]], gradient: [Double])
}

/// What changes from step to step of an optimizer, and from weight to weight.
public struct OptimizerStep: Hashable, Sendable {
  /// The number of steps taken before this one, from 0.
  public var index: Int
  /// The learning rate.
  public var rate: Double
  /// How much weights are drawn towards 0.
  public var weightDecay: Double

  /// Makes a step.
  public init(index: Int, rate: Double, weightDecay: Double) {
    self.index = index
    self.rate = rate
    self.weightDecay = weightDecay
  }
}

extension Optimizer {
  /// Stops where the operands of a reference step do not fit.
  internal func checkCounts(_ weight: [Double], _ slots: [[Double]], _ gradient: [Double]) {
    precondition(
      slots.count == slotNames.count && slots.allSatisfy { $0.count == weight.count }
        && gradient.count == weight.count,
      "\(Self.self): expected \(weight.count) gradients and as many in each of \(slotNames), found \(gradient.count) and \(slots.map(\.count))"
    )
  }
}

/// Refuses what is not the weight of an old value in a running mean. The fast update holds it as a Float,
/// which must be below 1 as well.
internal func checkMeanWeight(_ value: Double, _ what: String, at place: String) throws(KeelError) {
  guard value >= 0, Float(value) < 1 else {
    throw KeelError(
      .argument, at: place, expected: "\(what) of at least 0 and below 1", found: "\(value)")
  }
}

/// Refuses an ε that is not above 0 as a Float, or not finite.
internal func checkEpsilon(_ value: Double, at place: String) throws(KeelError) {
  guard Float(value) > 0, Float(value).isFinite else {
    throw KeelError(
      .argument, at: place, expected: "a finite epsilon above 0", found: "\(value)")
  }
}
