import KeelGraph
import KeelTensor

/// Normalizes by a mixture of statistics with learned weights: y = scale·(x − m)/√(v + ε) + shift,
/// m = Σ ω_k·m_k and v = Σ ω′_k·v_k over k in batch, instance and layer, with ω = softmax(θ), ω′ = softmax(φ).
///
/// Over batch and instance it is the layer of DSON (one for each domain); over all three, switchable norm.
/// Statistics are mixed, not outputs, as `BatchInstanceNorm` does. In inference the batch's part uses running
/// statistics, the others their own. For networks that are to generalize to other domains.
///
/// Seo et al. 2020, arXiv 1907.04275; Luo et al. 2019, arXiv 1806.10779.
public struct MixedNorm: Layer {
  /// A partition whose statistics are mixed in.
  public enum Source: String, Hashable, Sendable, CaseIterable {
    /// Each channel over the batch.
    case batch
    /// Each channel of each sample.
    case instance
    /// Each sample.
    case layer

    fileprivate var partition: Partition {
      switch self {
      case .batch: .batch
      case .instance: .instance
      case .layer: .layer
      }
    }
  }

  /// γ, C; starts at 1.
  public let scale: Parameter
  /// β, C; starts at 0.
  public let shift: Parameter
  /// θ, one for each source, or C×sources; starts at 1: equal weights.
  public let meanWeights: Parameter
  /// φ, one for each source, or C×sources; starts at 1: equal weights.
  public let varianceWeights: Parameter
  /// C; starts at 0; nil where the batch is no source.
  public let runningMean: Parameter?
  /// C; starts at 1; nil where the batch is no source.
  public let runningVariance: Parameter?
  /// What is mixed, in the order of the weights.
  public let sources: [Source]
  /// C.
  public let channels: Int
  /// The weight of the new value in the running statistics.
  public let momentum: Float
  /// ε under the root.
  public let epsilon: Float

  /// Makes a norm of mixed statistics. No sources, or one twice, channels below 1, a momentum outside 0…1 and
  /// an ε that is negative or not finite are thrown when the graph is made.
  /// - Parameters:
  ///   - sources: what is mixed.
  ///   - perChannel: whether each channel has weights of its own.
  public init(
    _ channels: Int, sources: [Source] = [.batch, .instance], perChannel: Bool = false,
    momentum: Float = 0.1, epsilon: Float = 1e-5
  ) {
    scale = filled(1, [channels])
    shift = filled(0, [channels])
    let count = max(sources.count, 1)
    meanWeights = filled(1, perChannel ? [channels, count] : [count])
    varianceWeights = filled(1, perChannel ? [channels, count] : [count])
    let hasBatch = sources.contains(.batch)
    runningMean = hasBatch ? filled(0, [channels], role: .state) : nil
    runningVariance = hasBatch ? filled(1, [channels], role: .state) : nil
    self.sources = sources
    self.channels = channels
    self.momentum = momentum
    self.epsilon = epsilon
  }

  /// Records the normalization and, in training, the new running statistics.
  public func callAsFunction(_ x: Variable) -> Variable {
    let trace = x.trace
    let place = trace.place(of: scale, kind: "MixedNorm")
    return trace.recording { () throws(KeelError) in
      try x.checkChannels(channels, at: place)
      try checkMomentum(momentum, at: place)
      try trace.check(
        !sources.isEmpty && Set(sources).count == sources.count, at: place,
        expected: "sources of statistics, at least one and each once",
        found: sources.isEmpty ? "none" : sources.map(\.rawValue).joined(separator: ", "))
      let running = RunningStatistics(runningMean, runningVariance, nil, momentum: momentum)
      let tables = sources.map { source -> Variable in
        if source == .batch, trace.mode == .inference, let running {
          return .moments(
            mean: trace.variable(running.mean), variance: trace.variable(running.variance))
        }
        return x.moments(source.partition, label: place)
      }
      if trace.mode == .training, let batch = sources.firstIndex(of: .batch) {
        running?.follow([tables[batch]], at: place)
      }
      let weights = [meanWeights, varianceWeights].map {
        let shares = trace.apply(.softmax, [trace.variable($0)], label: place)[0]
        return $0.shape.rank == 1 ? shares : shares.transposed([1, 0])
      }
      let mixed = Variable.mixed(.averaged, tables, weights: weights, label: place)
      return x.normalized(
        by: mixed, sources.count == 1 ? sources[0].partition : .instance,
        operation: .standardize(epsilon: epsilon), scale: trace.variable(scale),
        shift: trace.variable(shift), label: place)
    }
  }
}
