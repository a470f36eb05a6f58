import KeelGraph
import KeelTensor

/// Batch norm over the shards of a batch: y_k = scale·(x_k − m)/√(v + ε) + shift, with m and v the moments of
/// all shards of a group merged, n = Σ n_k, m = Σ n_k·m_k/n, v = Σ n_k·(v_k + (m_k − m)²)/n.
///
/// Shards are N_k×…×C, of any sizes; groups are of `groupSize` neighbouring shards. One group of all is batch
/// norm of the concatenation, forward and backward; groups of one are a batch norm of each shard. Running
/// statistics follow those of group after group, with the group's n. For batches cut into shards that are too
/// small for statistics of their own.
///
/// Shards that the group size does not divide are an error of the trace.
///
/// Peng et al. 2018, arXiv 1711.07240.
public struct SynchronizedBatchNorm: Sendable {
  /// The affine and running statistics.
  public let norm: BatchNorm
  /// The shards that share statistics; nil for all.
  public let groupSize: Int?

  /// Makes a synchronized batch norm; the other parameters are those of `BatchNorm`.
  public init(
    _ channels: Int, groupSize: Int? = nil, momentum: Float? = 0.1, epsilon: Float = 1e-5,
    affine: Bool = true
  ) {
    norm = BatchNorm(channels, momentum: momentum, epsilon: epsilon, affine: affine)
    self.groupSize = groupSize
  }

  /// Records the normalization of all shards and, in training, the new running statistics.
  public func callAsFunction(_ shards: [Variable]) -> [Variable] {
    guard let trace = shards.first?.trace else { return [] }
    guard trace.mode == .training else { return shards.map { norm($0) } }
    let place = trace.place(of: [norm.runningMean], kind: "SynchronizedBatchNorm")
    do throws(KeelError) {
      for shard in shards { try shard.checkChannels(norm.channels, at: place) }
      try checkMomentum(norm.momentum, at: place)
      let size = groupSize ?? shards.count
      try trace.check(
        size >= 1 && shards.count % size == 0, at: place,
        expected: "shards in groups of \(size)", found: "\(shards.count)")
      let tables = shards.map { $0.moments(.batch, label: place) }
      let groups = stride(from: 0, to: shards.count, by: size).map {
        Variable.mixed(.merged, Array(tables[$0..<$0 + size]), label: place)
      }
      RunningStatistics(
        norm.runningMean, norm.runningVariance, norm.batchCount, momentum: norm.momentum)?
        .follow(groups, at: place)
      return shards.enumerated().map { index, shard in
        shard.normalized(
          by: groups[index / size], .batch, operation: .standardize(epsilon: norm.epsilon),
          scale: trace.variable(norm.scale), shift: trace.variable(norm.shift), label: place)
      }
    } catch {
      trace.fail(error)
      return shards.map { _ in trace.nothing() }
    }
  }
}
