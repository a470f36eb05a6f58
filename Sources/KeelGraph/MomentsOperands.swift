import KeelTensor

/// Where the operands of moments stand in their node's inputs; x is input 0.
public struct MomentsOperands: Sendable {
  /// The labels of a partition that has some.
  public let labels: Int?
  /// The weights.
  public let weights: Int?
  /// The number of inputs.
  public let count: Int

  /// The positions.
  public init(_ partition: Partition, isWeighted: Bool) {
    labels = partition.hasLabels ? 1 : nil
    weights = isWeighted ? (partition.hasLabels ? 2 : 1) : nil
    count = 1 + (labels == nil ? 0 : 1) + (weights == nil ? 0 : 1)
  }
}

/// Where the operands of the moments' gradient stand: dMoments is input 0, x input 1, the moments input 2.
public struct MomentsGradientOperands: Sendable {
  /// The labels of a partition that has some.
  public let labels: Int?
  /// The weights.
  public let weights: Int?
  /// The number of inputs.
  public let count: Int

  /// The positions.
  public init(_ partition: Partition, isWeighted: Bool) {
    let forward = MomentsOperands(partition, isWeighted: isWeighted)
    labels = forward.labels.map { $0 + 2 }
    weights = forward.weights.map { $0 + 2 }
    count = forward.count + 2
  }
}
