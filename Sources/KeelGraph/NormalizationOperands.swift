import KeelTensor

/// Where the operands of a normalization stand in its node's inputs: the one place that knows.
public struct NormalizationOperands: Sendable {
  /// The labels of a partition that has some.
  public let labels: Int?
  /// The given moments.
  public let moments: Int?
  /// The given mean and variance.
  public let mean: Int?, variance: Int?
  /// The scale and shift.
  public let scale: Int?, shift: Int?
  /// The residual.
  public let residual: Int?
  /// The number of inputs.
  public let count: Int

  /// The positions for a normalization's inputs; x is at 0.
  public init(_ normalization: Normalization) {
    var positions = Positions(from: 1)
    labels = positions.take(normalization.partition.hasLabels)
    moments = positions.take(normalization.statistics == .moments)
    mean = positions.take(normalization.statistics == .given)
    variance = positions.take(normalization.statistics == .given)
    scale = positions.take(normalization.hasScale)
    shift = positions.take(normalization.hasShift)
    residual = positions.take(normalization.epilogue.hasResidual)
    count = positions.next
  }
}

/// Where the operands and results of a normalization's gradient stand; dy is input 0, x input 1, dx
/// result 0.
public struct NormalizationGradientOperands: Sendable {
  /// The labels of a partition that has some.
  public let labels: Int?
  /// The moments: those that the forward node made, or was given.
  public let moments: Int?
  /// The given mean and variance.
  public let mean: Int?, variance: Int?
  /// The scale and shift.
  public let scale: Int?, shift: Int?
  /// The forward result, which tells where the activation was active.
  public let output: Int?
  /// The number of inputs.
  public let count: Int
  /// The results dScale and dShift.
  public let dScale: Int?, dShift: Int?
  /// The result dResidual.
  public let dResidual: Int?
  /// The gradient of given moments: rows 1 and 2 of the layout are that of the mean, row 3 that of
  /// Σ(x − mean)², row 0 is 0 (a count is no variable).
  public let dMoments: Int?
  /// The number of results.
  public let resultCount: Int

  /// The positions for a normalization's gradient.
  public init(_ normalization: Normalization) {
    let epilogue = normalization.epilogue
    var positions = Positions(from: 2)
    labels = positions.take(normalization.partition.hasLabels)
    moments = positions.take(normalization.statistics != .given)
    mean = positions.take(normalization.statistics == .given)
    variance = positions.take(normalization.statistics == .given)
    scale = positions.take(normalization.hasScale)
    shift = positions.take(normalization.hasShift)
    output = positions.take(epilogue.hasResidual && epilogue.activation != nil)
    count = positions.next
    positions = Positions(from: 1)
    dScale = positions.take(normalization.hasScale)
    dShift = positions.take(normalization.hasShift)
    dResidual = positions.take(epilogue.hasResidual)
    dMoments = positions.take(normalization.statistics == .moments)
    resultCount = positions.next
  }
}

/// Hands out positions one after another to what is there.
private struct Positions {
  var next: Int

  init(from first: Int) { next = first }

  mutating func take(_ present: Bool) -> Int? {
    guard present else { return nil }
    defer { next += 1 }
    return next
  }
}
