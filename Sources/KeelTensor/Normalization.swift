/// A normalization as four choices: which elements share statistics, where the statistics come from,
/// what they do, and what is put back (design: one normalization algebra).
///
/// y = scale·(x − mean)/√(variance + ε) + shift, with mean and variance shared over a partition.
/// Named methods are rows of this table; batch norm is partition `batch`.
public struct Normalization: Hashable, Sendable {
  /// Which elements share statistics.
  public enum Partition: Hashable, Sendable {
    /// All rows of the batch, each channel by itself.
    case batch
  }

  /// Where the statistics come from.
  public enum Statistics: Hashable, Sendable {
    /// The elements of this batch; the node yields their moments as a second result.
    case current
    /// Given mean and variance per channel, such as running averages.
    case given
  }

  /// What the statistics do.
  public enum Operation: Hashable, Sendable {
    /// Subtract the mean and divide by √(population variance + ε).
    case standardize(epsilon: Float)
  }

  /// What is put back afterwards.
  public enum Recovery: Hashable, Sendable {
    /// Nothing.
    case none
    /// A scale and a shift per channel.
    case affine
  }

  /// Which elements share statistics.
  public var partition: Partition
  /// Where the statistics come from.
  public var statistics: Statistics
  /// What they do.
  public var operation: Operation
  /// What is put back.
  public var recovery: Recovery
  /// What is done to each element on the way out, in the same pass.
  public var epilogue: Epilogue

  /// Makes a normalization from its choices.
  /// - Throws: `KeelError` of kind `argument` for an ε that is negative or not finite, or an epilogue
  ///   with a bias (the shift is the bias) or an activation other than ReLU.
  public init(
    partition: Partition = .batch, statistics: Statistics,
    operation: Operation = .standardize(epsilon: 1e-5),
    recovery: Recovery = .affine, epilogue: Epilogue = Epilogue(), place: String = "normalization"
  ) throws(KeelError) {
    guard case .standardize(let epsilon) = operation, epsilon >= 0, epsilon.isFinite else {
      throw KeelError(
        .argument, at: place, expected: "a finite epsilon of at least 0", found: "\(operation)")
    }
    guard !epilogue.hasBias else {
      throw KeelError(
        .argument, at: place, expected: "an epilogue without bias (the shift is the bias)",
        found: "one with bias")
    }
    try Self.checkActivation(epilogue, at: place)
    self.partition = partition
    self.statistics = statistics
    self.operation = operation
    self.recovery = recovery
    self.epilogue = epilogue
  }

  /// Checks the activation of an epilogue: the backward pass of a normalization recomputes where its
  /// activation was active, which only ReLU allows.
  /// - Throws: `KeelError` of kind `argument` for another one.
  public static func checkActivation(_ epilogue: Epilogue, at place: String) throws(KeelError) {
    guard let activation = epilogue.activation, activation != .relu else { return }
    throw KeelError(
      .argument, at: place, expected: "ReLU or no activation in a normalization's epilogue",
      found: activation.name)
  }

  /// The ε under the root.
  public var epsilon: Float {
    switch operation {
    case .standardize(let epsilon): epsilon
    }
  }

  /// Whether scale and shift are operands.
  public var hasAffine: Bool { recovery == .affine }
}
