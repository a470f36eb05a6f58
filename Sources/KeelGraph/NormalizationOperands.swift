import KeelTensor

/// Where the operands of a normalization stand in its node's inputs: the one place that knows.
public struct NormalizationOperands: Sendable {
  /// The given mean and variance.
  public let mean: Int?, variance: Int?
  /// The scale and shift per channel.
  public let scale: Int?, shift: Int?
  /// The residual.
  public let residual: Int?
  /// The number of inputs.
  public let count: Int

  /// The positions for a normalization's inputs; x is at 0.
  public init(_ normalization: Normalization) {
    var next = 1
    func take(_ present: Bool) -> Int? {
      guard present else { return nil }
      defer { next += 1 }
      return next
    }
    mean = take(normalization.statistics == .given)
    variance = take(normalization.statistics == .given)
    scale = take(normalization.hasAffine)
    shift = take(normalization.hasAffine)
    residual = take(normalization.epilogue.hasResidual)
    count = next
  }
}

/// Where the operands and results of a normalization's gradient stand; dy is input 0, x input 1, dx
/// result 0.
public struct NormalizationGradientOperands: Sendable {
  /// The moments of the batch, for statistics `current`.
  public let moments: Int?
  /// The given mean and variance.
  public let mean: Int?, variance: Int?
  /// The scale and shift per channel.
  public let scale: Int?, shift: Int?
  /// The forward result, which tells where the activation was active.
  public let output: Int?
  /// The number of inputs.
  public let count: Int
  /// The results dScale and dShift.
  public let dScale: Int?, dShift: Int?
  /// The result dResidual.
  public let dResidual: Int?

  /// The positions for a normalization's gradient.
  public init(_ normalization: Normalization) {
    var next = 2
    func take(_ present: Bool) -> Int? {
      guard present else { return nil }
      defer { next += 1 }
      return next
    }
    let epilogue = normalization.epilogue
    moments = take(normalization.statistics == .current)
    mean = take(normalization.statistics == .given)
    variance = take(normalization.statistics == .given)
    scale = take(normalization.hasAffine)
    shift = take(normalization.hasAffine)
    output = take(epilogue.hasResidual && epilogue.activation != nil)
    count = next
    next = 1
    dScale = take(normalization.hasAffine)
    dShift = take(normalization.hasAffine)
    dResidual = take(epilogue.hasResidual)
  }
}
