import KeelGraph
import KeelTensor

/// Batch norm in which each of several equal runs of samples has statistics of its own, however large the
/// batch: y = scale·(x − m)/√(v + ε) + shift, with m and v over the samples of a shard.
///
/// Shard k of K begins at sample ⌊k·N/K⌋. The running statistics follow those of the shards merged, that is of
/// the whole batch. It keeps in large batches what the noise of small ones is good for. A batch of fewer samples
/// than shards is thrown when the graph is made or run.
///
/// Hoffer, Hubara and Soudry 2017, arXiv 1705.08741.
public struct GhostBatchNorm: Layer {
  /// The affine and running statistics, which inference uses.
  public let norm: BatchNorm
  /// K.
  public let shards: Int

  /// Makes a ghost batch norm; the other parameters are those of `BatchNorm`.
  public init(
    _ channels: Int, shards: Int, momentum: Float? = 0.1, epsilon: Float = 1e-5,
    affine: Bool = true
  ) {
    norm = BatchNorm(channels, momentum: momentum, epsilon: epsilon, affine: affine)
    self.shards = shards
  }

  /// Records the normalization and, in training, the new running statistics.
  public func callAsFunction(_ x: Variable) -> Variable {
    let trace = x.trace
    guard trace.mode == .training else { return norm(x) }
    let place = trace.place(of: [norm.runningMean], kind: "GhostBatchNorm")
    return trace.recording { () throws(KeelError) in
      try x.checkChannels(norm.channels, at: place)
      try checkMomentum(norm.momentum, at: place)
      let (y, moments) = x.normalizedWithMoments(
        Partition(rows: .shards(shards), channels: .each),
        operation: .standardize(epsilon: norm.epsilon), scale: trace.variable(norm.scale),
        shift: trace.variable(norm.shift), label: place)
      guard moments.type != nil else { return y }
      let parts = moments.split(axis: 1, into: Array(repeating: 1, count: shards)).map {
        $0.reshaped([.fixed(MomentsLayout.rows), .fixed(norm.channels)])
      }
      RunningStatistics(
        norm.runningMean, norm.runningVariance, norm.batchCount, momentum: norm.momentum)?
        .follow([.mixed(.merged, parts, label: place)], at: place)
      return y
    }
  }
}

/// Batch norm with statistics of each domain: y = scale·(x − m_d)/√(v_d + ε) + shift, with d the label of the
/// sample.
///
/// Labels are int64, one per sample, from 0 to domains − 1. In training, m_d and v_d are over the samples of
/// the batch with that label, and only the running statistics of domains in the batch move; in inference they
/// are the running ones of the sample's domain. Scale and shift are each domain's own, or shared. For
/// batches that mix sources of different statistics: domains, cameras, modalities, tasks.
///
/// Labels out of range, and a domain of one value per channel in training, are thrown when the graph is run.
///
/// Chang et al. 2019, arXiv 1906.03950; per task: Bilen and Vedaldi 2017, arXiv 1701.07275.
public struct DomainBatchNorm: Sendable {
  /// γ, domains×C or, shared, C; starts at 1.
  public let scale: Parameter
  /// β, domains×C or, shared, C; starts at 0.
  public let shift: Parameter
  /// Domains×C; starts at 0.
  public let runningMean: Parameter
  /// Domains×C; starts at 1.
  public let runningVariance: Parameter
  /// The number of batches behind each cell of a plain average, domains×C; starts at 0.
  public let batchCount: Parameter?
  /// C.
  public let channels: Int
  /// The number of domains.
  public let domains: Int
  /// Whether all domains have one scale and shift.
  public let sharesAffine: Bool
  /// The weight of the new value in the running statistics; nil for the plain average over batches.
  public let momentum: Float?
  /// ε under the root.
  public let epsilon: Float

  /// Makes a batch norm of domains. Sizes below 1, a momentum outside 0…1 and an ε that is negative or not
  /// finite are thrown when the graph is made.
  public init(
    _ channels: Int, domains: Int, sharesAffine: Bool = false, momentum: Float? = 0.1,
    epsilon: Float = 1e-5
  ) {
    scale = filled(1, sharesAffine ? [channels] : [domains, channels])
    shift = filled(0, sharesAffine ? [channels] : [domains, channels])
    runningMean = filled(0, [domains, channels], role: .state)
    runningVariance = filled(1, [domains, channels], role: .state)
    batchCount = momentum == nil ? filled(0, [domains, channels], role: .state) : nil
    self.channels = channels
    self.domains = domains
    self.sharesAffine = sharesAffine
    self.momentum = momentum
    self.epsilon = epsilon
  }

  /// Records the normalization and, in training, the new running statistics.
  public func callAsFunction(_ x: Variable, domains labels: Variable) -> Variable {
    let trace = x.trace
    let place = trace.place(of: scale, kind: "DomainBatchNorm")
    return trace.recording { () throws(KeelError) in
      try x.checkChannels(channels, at: place)
      try checkMomentum(momentum, at: place)
      try trace.check(domains >= 1, at: place, expected: "at least 1 domain", found: "\(domains)")
      if let type = labels.type, let x = x.type {
        let expected = ValueType(.int64, [x.extents[0]])
        try trace.check(
          type == expected, .shape, at: place, expected: "labels \(expected)", found: "\(type)")
      }
      let partition = Partition(rows: .labels(domains), channels: .each)
      let operation = Normalization.Operation.standardize(epsilon: epsilon)
      let affine = [scale, shift].map {
        sharesAffine ? trace.variable($0) : trace.variable($0).selected(labels)
      }
      let extent: Normalization.Recovery.Extent = sharesAffine ? .channels : .samples
      if trace.mode == .inference {
        return x.normalized(
          mean: trace.variable(runningMean), variance: trace.variable(runningVariance), partition,
          operation: operation, scale: affine[0], shift: affine[1], per: extent, labels: labels,
          label: place)
      }
      let (y, moments) = x.normalizedWithMoments(
        partition, operation: operation, scale: affine[0], shift: affine[1], per: extent,
        labels: labels, label: place)
      RunningStatistics(runningMean, runningVariance, batchCount, momentum: momentum)?
        .follow([moments], at: place)
      return y
    }
  }
}

/// A complete batch norm for each of several widths of a slimmable network; one is chosen when the graph is
/// made.
///
/// Yu et al. 2019, arXiv 1812.08928.
public struct SwitchableBatchNorm: Sendable {
  /// The norm of each width.
  public let norms: [BatchNorm]

  /// Makes a norm of so many channels for each width.
  public init(_ channels: [Int], momentum: Float? = 0.1, epsilon: Float = 1e-5) {
    norms = channels.map { BatchNorm($0, momentum: momentum, epsilon: epsilon) }
  }

  /// Records the norm of a width by its position; one that is not there is an error of the trace.
  public func callAsFunction(_ x: Variable, width: Int) -> Variable {
    guard norms.indices.contains(width) else {
      x.trace.fail(
        KeelError(
          .argument, at: x.trace.place(of: [norms.first?.scale], kind: "SwitchableBatchNorm"),
          expected: "a width from 0 to \(norms.count - 1)", found: "\(width)"))
      return x.trace.nothing()
    }
    return norms[width](x)
  }
}

/// Batch norm in a recurrent network: one scale and shift for all time steps, running statistics of each.
///
/// Steps after the last one use its running statistics in inference; in training those move it on.
///
/// Cooijmans et al. 2016, arXiv 1603.09025.
public struct RecurrentBatchNorm: Sendable {
  /// γ, C; starts at 0.1, as in the paper: tanh units start in their linear part.
  public let scale: Parameter
  /// β, C; starts at 0.
  public let shift: Parameter
  /// The running means of each step, C; they start at 0.
  public let runningMeans: [Parameter]
  /// The running variances of each step, C; they start at 1.
  public let runningVariances: [Parameter]
  /// C.
  public let channels: Int
  /// The weight of the new value in the running statistics.
  public let momentum: Float
  /// ε under the root.
  public let epsilon: Float

  /// Makes a norm of so many steps. Sizes below 1, a momentum outside 0…1 and an ε that is negative or not
  /// finite are thrown when the graph is made.
  public init(
    _ channels: Int, steps: Int, momentum: Float = 0.1, epsilon: Float = 1e-5,
    initialScale: Float = 0.1
  ) {
    scale = filled(initialScale, [channels])
    shift = filled(0, [channels])
    runningMeans = (0..<max(steps, 0)).map { _ in filled(0, [channels], role: .state) }
    runningVariances = (0..<max(steps, 0)).map { _ in filled(1, [channels], role: .state) }
    self.channels = channels
    self.momentum = momentum
    self.epsilon = epsilon
  }

  /// Records the normalization of a step and, in training, its new running statistics.
  public func callAsFunction(_ x: Variable, step: Int) -> Variable {
    let trace = x.trace
    let place = trace.place(of: scale, kind: "RecurrentBatchNorm")
    return trace.recording { () throws(KeelError) in
      try x.checkChannels(channels, at: place)
      try checkMomentum(momentum, at: place)
      try trace.check(
        !runningMeans.isEmpty && step >= 0, at: place,
        expected: "at least 1 step, and one from 0 on",
        found: "step \(step) of \(runningMeans.count)")
      let last = min(step, runningMeans.count - 1)
      let operation = Normalization.Operation.standardize(epsilon: epsilon)
      let (scale, shift) = (trace.variable(scale), trace.variable(shift))
      if trace.mode == .inference {
        return x.normalized(
          mean: trace.variable(runningMeans[last]),
          variance: trace.variable(runningVariances[last]), operation: operation, scale: scale,
          shift: shift, label: place)
      }
      let (y, moments) = x.normalizedWithMoments(
        .batch, operation: operation, scale: scale, shift: shift, label: place)
      RunningStatistics(runningMeans[last], runningVariances[last], nil, momentum: momentum)?
        .follow([moments], at: place)
      return y
    }
  }
}
