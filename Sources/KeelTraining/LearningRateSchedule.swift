import KeelTensor

/// The learning rate of each step of a training.
public protocol LearningRateSchedule: Sendable {
  /// The learning rate of a step.
  /// - Parameters:
  ///   - step: the number of steps taken before this one, from 0.
  ///   - total: the number of steps of the whole training.
  func rate(atStep step: Int, of total: Int) -> Double
}

/// One learning rate throughout.
public struct ConstantSchedule: LearningRateSchedule, Hashable {
  /// The learning rate.
  public let rate: Double

  /// Makes a schedule.
  /// - Throws: `KeelError` of kind `argument` for a rate that is negative or not finite.
  public init(_ rate: Double) throws(KeelError) {
    try check(rate, "learning rate", at: "ConstantSchedule")
    self.rate = rate
  }

  /// The rate.
  public func rate(atStep step: Int, of total: Int) -> Double { rate }
}

/// A learning rate that is multiplied by a factor now and then: rate·factorⁿ, with n the number of drops
/// at or before the step.
public struct StepSchedule: LearningRateSchedule, Hashable {
  private enum Drops: Hashable {
    case every(Int)
    case at([Int])
  }

  /// The learning rate before the first drop.
  public let rate: Double
  /// What a drop multiplies by.
  public let factor: Double
  private let drops: Drops

  /// Makes a schedule that drops every so many steps (PyTorch's `StepLR`).
  /// - Throws: `KeelError` of kind `argument` for a rate or factor that is negative or not finite, or an
  ///   interval below 1.
  public init(_ rate: Double, factor: Double = 0.1, every interval: Int) throws(KeelError) {
    guard interval >= 1 else {
      throw KeelError(
        .argument, at: "StepSchedule", expected: "an interval of at least 1 step",
        found: "\(interval)")
    }
    try self.init(rate, factor, .every(interval))
  }

  /// Makes a schedule that drops at given steps (PyTorch's `MultiStepLR`).
  /// - Throws: `KeelError` of kind `argument` for a rate or factor that is negative or not finite, or a
  ///   milestone below 0.
  public init(_ rate: Double, factor: Double = 0.1, milestones: [Int]) throws(KeelError) {
    for milestone in milestones where milestone < 0 {
      throw KeelError(
        .argument, at: "StepSchedule", expected: "milestones of at least 0", found: "\(milestone)")
    }
    try self.init(rate, factor, .at(milestones))
  }

  private init(_ rate: Double, _ factor: Double, _ drops: Drops) throws(KeelError) {
    try check(rate, "learning rate", at: "StepSchedule")
    try check(factor, "factor", at: "StepSchedule")
    self.rate = rate
    self.factor = factor
    self.drops = drops
  }

  /// rate·factorⁿ.
  public func rate(atStep step: Int, of total: Int) -> Double {
    let count =
      switch drops {
      case .every(let interval): max(step, 0) / interval
      case .at(let milestones): milestones.count { $0 <= step }
      }
    return rate * power(factor, Double(count))
  }
}

/// A learning rate that falls along half a cosine, after a linear warm-up of w steps:
///
/// rate·(step + 1)/w for step < w, then final + (rate − final)·(1 + cos(π·(step − w)/(total − w)))/2.
///
/// Loshchilov and Hutter 2017, arXiv 1608.03983, without restarts (PyTorch's `CosineAnnealingLR`).
public struct CosineSchedule: LearningRateSchedule, Hashable {
  /// The learning rate at the top.
  public let rate: Double
  /// The learning rate that the last steps come near to.
  public let final: Double
  /// w: the number of warm-up steps.
  public let warmUp: Int

  /// Makes a schedule.
  /// - Throws: `KeelError` of kind `argument` for a rate that is negative or not finite, or a warm-up
  ///   below 0.
  public init(_ rate: Double, final: Double = 0, warmUp: Int = 0) throws(KeelError) {
    try check(rate, "learning rate", at: "CosineSchedule")
    try check(final, "final learning rate", at: "CosineSchedule")
    guard warmUp >= 0 else {
      throw KeelError(
        .argument, at: "CosineSchedule", expected: "a warm-up of at least 0 steps",
        found: "\(warmUp)")
    }
    self.rate = rate
    self.final = final
    self.warmUp = warmUp
  }

  /// The point of the curve; `final` from the end on.
  public func rate(atStep step: Int, of total: Int) -> Double {
    if step < warmUp { return rate * Double(step + 1) / Double(warmUp) }
    guard step < total else { return final }
    let progress = Double(step - warmUp) / Double(total - warmUp)
    return final + (rate - final) * (1 + cosine(.pi * progress)) / 2
  }
}

/// Refuses a number that is negative or not finite.
internal func check(_ value: Double, _ what: String, at place: String) throws(KeelError) {
  guard value >= 0, value.isFinite else {
    throw KeelError(
      .argument, at: place, expected: "a finite \(what) of at least 0", found: "\(value)")
  }
}
