public import KeelTensor

/// Options of the weights whose paths match a pattern.
///
/// In a pattern `*` stands for any characters, dots too, `?` for one, and everything else for itself:
/// `stage1.*` is a stage, `*.bias` every bias, `*.scale` every scale of a normalization. Of several groups
/// the first that matches a weight counts. A weight in no group has a factor of 1 and the optimizer's decay.
///
/// **Frozen** weights keep their bits, and no gradient is computed for them. That holds for running
/// statistics, too, if the pattern covers them: `*.scale` leaves them updating, `stage1.*`, `*.running*` or
/// `*.runningMean` does not. What a batch norm normalizes with is not a weight: where it uses the
/// batch's statistics it goes on doing so. `BatchNorm.frozen` and `Graph.trainingForm(frozen:)` have it
/// use the running ones.
public struct ParameterGroup: Hashable, Sendable {
  /// The pattern of paths.
  public let pattern: String
  /// What the schedule's learning rate is multiplied by.
  public let learningRateFactor: Double
  /// The weight decay; nil for the optimizer's.
  public let weightDecay: Double?
  /// Whether the weights stay as they are.
  public let frozen: Bool

  /// Makes a group.
  /// - Throws: `KeelError` of kind `argument` for an empty pattern, or a factor or decay that is negative
  ///   or not finite.
  public init(
    pattern: String, learningRateFactor: Double = 1, weightDecay: Double? = nil,
    frozen: Bool = false
  ) throws(KeelError) {
    guard !pattern.isEmpty else {
      throw KeelError(
        .argument, at: "ParameterGroup", expected: "a pattern such as *.bias", found: "none")
    }
    let place = "ParameterGroup \(pattern)"
    try check(learningRateFactor, "learning rate factor", at: place)
    if let weightDecay { try check(weightDecay, "weight decay", at: place) }
    self.pattern = pattern
    self.learningRateFactor = learningRateFactor
    self.weightDecay = weightDecay
    self.frozen = frozen
  }

  /// Whether a path matches the pattern as a whole.
  public func matches(_ path: String) -> Bool {
    let (pattern, path) = (Array(pattern), Array(path))
    // After a mismatch the last star takes in one character more; earlier stars need no second try.
    var (p, i) = (0, 0)
    var star: (p: Int, i: Int)?
    while i < path.count {
      if p < pattern.count, pattern[p] == "*" {
        star = (p, i)
        p += 1
      } else if p < pattern.count, pattern[p] == "?" || pattern[p] == path[i] {
        p += 1
        i += 1
      } else if let last = star {
        star = (last.p, last.i + 1)
        (p, i) = (last.p + 1, last.i + 1)
      } else {
        return false
      }
    }
    return pattern[p...].allSatisfy { $0 == "*" }
  }
}

extension [ParameterGroup] {
  /// The group that counts for a path.
  internal func first(matching path: String) -> ParameterGroup? { first { $0.matches(path) } }

  /// Refuses a group whose pattern matches no path: a spelling mistake would train what was to be frozen.
  internal func check(against paths: [String]) throws(KeelError) {
    for group in self where !paths.contains(where: group.matches) {
      throw KeelError(
        .argument, at: "ParameterGroup \(group.pattern)",
        expected: "a pattern that matches one of \(paths)",
        found: "no match")
    }
  }
}
