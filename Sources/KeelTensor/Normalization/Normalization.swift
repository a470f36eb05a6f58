/// A normalization as four choices: which elements share statistics, where the statistics come from,
/// what they do, and what is put back (design: one normalization algebra).
///
/// y = f(γ·(x − m)/s + β + residual), with m and s the statistics of the element's cell, γ and β what is
/// put back, and f the epilogue's activation. Named methods are rows of a table of these choices:
///
/// | method | partition | operation |
/// |---|---|---|
/// | batch norm (Ioffe and Szegedy 2015, 1502.03167) | `.batch` | `.standardize` |
/// | layer norm (Ba, Kiros and Hinton 2016, 1607.06450) | `.layer`, `.position` | `.standardize` |
/// | instance norm (Ulyanov et al. 2016, 1607.08022) | `.instance` | `.standardize` |
/// | group norm (Wu and He 2018, 1803.08494) | `.group(G)` | `.standardize` |
/// | RMS norm (Zhang and Sennrich 2019, 1910.07467) | `.position` | `.rootMeanSquare` |
/// | pixel norm (Karras et al. 2018, 1710.10196) | `.position` | `.rootMeanSquare` |
/// | position L2 norm | `.position` | `.norm` |
///
/// Choices that cannot be combined are refused when the value is made.
public struct Normalization: Hashable, Sendable {
  /// Where the statistics come from.
  public enum Statistics: String, Hashable, Sendable {
    /// The elements of each cell; the node yields their moments as a second result.
    case current
    /// Given mean and variance per cell, such as running averages. Constants: no gradient reaches them.
    case given
    /// Given moments per cell, in the layout of `MomentsLayout`, from this batch or elsewhere: merged over
    /// shards, mixed, weighted. Their gradient is a result of the gradient node. With moments of no
    /// elements, z is 0.
    case moments
  }

  /// Which elements share statistics.
  public let partition: Partition
  /// Where the statistics come from.
  public let statistics: Statistics
  /// What they do.
  public let operation: Operation
  /// What is put back.
  public let recovery: Recovery
  /// What is done to each element on the way out, in the same pass.
  public let epilogue: Epilogue

  /// Makes a normalization from its choices.
  /// - Throws: `KeelError` of kind `argument` for an epilogue with a bias (the shift is the bias) or an
  ///   activation other than ReLU, and for given variances where the operation needs the mean square.
  public init(
    partition: Partition = .batch, statistics: Statistics,
    operation: Operation = .standardize(epsilon: 1e-5), recovery: Recovery = .affine,
    epilogue: Epilogue = Epilogue(), place: String = "normalization"
  ) throws(KeelError) {
    guard !epilogue.hasBias else {
      throw KeelError(
        .argument, at: place, expected: "an epilogue without bias (the shift is the bias)",
        found: "one with bias")
    }
    try Self.checkActivation(epilogue, at: place)
    try operation.validate(at: place)
    try partition.validate(at: place)
    if statistics == .given, case .deviation(unbiased: true) = operation.divisor {
      throw KeelError(
        .argument, at: place,
        expected: "an operation that takes a given variance as it is",
        found: "\(operation), which corrects it by a count that is not given")
    }
    if statistics == .given, case .norm = operation.divisor {
      throw KeelError(
        .argument, at: place, expected: "an operation on mean and variance",
        found: "\(operation), which needs a count: give moments")
    }
    self.partition = partition
    self.statistics = statistics
    self.operation = operation
    self.recovery = recovery
    self.epilogue = epilogue
  }

  private init(
    partition: Partition, statistics: Statistics, operation: Operation, recovery: Recovery,
    replacing epilogue: Epilogue
  ) {
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

  /// The ε of the operation.
  public var epsilon: Float { operation.epsilon }
  /// Whether a scale is an operand.
  public var hasScale: Bool { recovery.hasScale }
  /// Whether a shift is an operand.
  public var hasShift: Bool { recovery.hasShift }

  /// Whether given numbers make it a map per channel, a·x + t with a = γ/√(variance + ε): what folding
  /// moves into weights.
  public var isChannelMap: Bool {
    statistics == .given && partition == .batch && recovery.extent == .channels
      && operation == .standardize(epsilon: epsilon)
  }

  /// The same with another epilogue; graphs check it where it becomes a node.
  public func replacing(epilogue: Epilogue) -> Normalization {
    Normalization(
      partition: partition, statistics: statistics, operation: operation, recovery: recovery,
      replacing: epilogue)
  }

  /// The same with another recovery.
  public func replacing(recovery: Recovery) -> Normalization {
    Normalization(
      partition: partition, statistics: statistics, operation: operation, recovery: recovery,
      replacing: epilogue)
  }

  /// The same with statistics from elsewhere.
  /// - Throws: `KeelError` of kind `argument` where the operation cannot take them.
  public func replacing(statistics: Statistics, place: String) throws(KeelError) -> Normalization {
    try Normalization(
      partition: partition, statistics: statistics, operation: operation, recovery: recovery,
      epilogue: epilogue, place: place)
  }

  /// The method's name in the field's terms.
  public var name: String {
    switch (partition.rows, partition.channels, operation.divisor) {
    case (_, _, .none): "centering"
    case (.position, .all, .norm): "L2 norm"
    case (_, _, .rootMeanSquare), (_, _, .norm): "RMS norm"
    case (.all, .each, _): "batch norm"
    case (.all, .all, _): "whole-tensor norm"
    case (.sample, .each, _): "instance norm"
    case (.sample, .groups, _): "group norm"
    case (.sample, .all, _), (.position, _, _): "layer norm"
    case (.shards, .each, _), (.labels, .each, _): "sub-batch norm"
    default: "mean-variance norm"
    }
  }
}
