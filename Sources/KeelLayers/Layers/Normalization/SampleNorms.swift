import KeelGraph
import KeelTensor

/// Standardizes each channel of each sample over its positions:
/// y = scale·(x − mean)/√(variance + ε) + shift.
///
/// x is N×…×C with at least one axis between. The same in training and inference, unless there are running
/// statistics: these follow the means over the batch of the samples' means and unbiased variances, as
/// PyTorch's do, and take the samples' place in inference. For style transfer and generated images: it takes
/// an image's contrast and brightness away.
///
/// One position per sample is thrown when the graph is made.
///
/// Ulyanov, Vedaldi and Lempitsky 2016, arXiv 1607.08022.
public struct InstanceNorm: Layer {
  /// γ, C; starts at 1; nil where the layer is not affine.
  public let scale: Parameter?
  /// β, C; starts at 0; nil where the layer is not affine.
  public let shift: Parameter?
  /// C; starts at 0; nil without running statistics.
  public let runningMean: Parameter?
  /// C; starts at 1; nil without running statistics.
  public let runningVariance: Parameter?
  /// C.
  public let channels: Int
  /// The weight of the new value in the running statistics.
  public let momentum: Float
  /// ε under the root.
  public let epsilon: Float

  /// Makes an instance norm; like PyTorch's, without scale, shift and running statistics unless asked for.
  /// Channels below 1, a momentum outside 0…1 and an ε that is negative or not finite are thrown when the
  /// graph is made.
  public init(
    _ channels: Int, epsilon: Float = 1e-5, momentum: Float = 0.1, affine: Bool = false,
    tracksRunningStatistics: Bool = false
  ) {
    scale = affine ? filled(1, [channels]) : nil
    shift = affine ? filled(0, [channels]) : nil
    runningMean = tracksRunningStatistics ? filled(0, [channels], role: .state) : nil
    runningVariance = tracksRunningStatistics ? filled(1, [channels], role: .state) : nil
    self.channels = channels
    self.momentum = momentum
    self.epsilon = epsilon
  }

  /// Records the normalization and, in training, the new running statistics.
  public func callAsFunction(_ x: Variable) -> Variable {
    let trace = x.trace
    let place = trace.place(of: [runningMean, scale], kind: "InstanceNorm")
    return trace.recording { () throws(KeelError) in
      try x.checkChannels(channels, at: place)
      try checkMomentum(momentum, at: place)
      let operation = Normalization.Operation.standardize(epsilon: epsilon)
      let (scale, shift) = (trace.variable(scale), trace.variable(shift))
      let running = RunningStatistics(runningMean, runningVariance, nil, momentum: momentum)
      if let running, trace.mode == .inference {
        return x.normalized(
          mean: trace.variable(running.mean), variance: trace.variable(running.variance),
          operation: operation, scale: scale, shift: shift, label: place)
      }
      let (y, moments) = x.normalizedWithMoments(
        .instance, operation: operation, scale: scale, shift: shift, label: place)
      if let running {
        // Of two elements, Σ(x − mean)² is the unbiased variance.
        let variance = moments.momentsVariance(unbiased: true).mean(axes: [0])
        let mean = moments.momentsMean.mean(axes: [0])
        let table = Variable.moments(mean: mean, variance: variance * 0.5, count: 2)
        running.follow([table], at: place)
      }
      return y
    }
  }
}

/// Standardizes groups of channels of each sample: y = scale·(x − mean)/√(variance + ε) + shift, with mean
/// and variance over all positions and the channels of a group.
///
/// x is N×…×C, groups are of C/G neighbouring channels, scale and shift per channel. One group is layer norm
/// over a sample, as many groups as channels are instance norm. Samples do not see each other: training and
/// inference are the same. In place of batch norm where batches are small; the paper has 32 groups.
///
/// Groups that do not divide the channels, and one value per group, are thrown when the graph is made.
///
/// Wu and He 2018, arXiv 1803.08494.
public struct GroupNorm: Layer {
  /// γ, C; starts at 1; nil where the layer is not affine.
  public let scale: Parameter?
  /// β, C; starts at 0; nil where the layer is not affine.
  public let shift: Parameter?
  /// G.
  public let groups: Int
  /// C.
  public let channels: Int
  /// ε under the root.
  public let epsilon: Float

  /// Makes a group norm.
  public init(_ groups: Int, _ channels: Int, epsilon: Float = 1e-5, affine: Bool = true) {
    scale = affine ? filled(1, [channels]) : nil
    shift = affine ? filled(0, [channels]) : nil
    self.groups = groups
    self.channels = channels
    self.epsilon = epsilon
  }

  /// Records the normalization.
  public func callAsFunction(_ x: Variable) -> Variable {
    let trace = x.trace
    let place = trace.place(of: [scale], kind: "GroupNorm")
    return trace.recording { () throws(KeelError) in
      try x.checkChannels(channels, at: place)
      return x.normalized(
        .group(groups), operation: .standardize(epsilon: epsilon), scale: trace.variable(scale),
        shift: trace.variable(shift), label: place)
    }
  }
}

/// Standardizes everything by one mean and one variance: y = scale·(x − mean)/√(variance + ε) + shift, with
/// scale and shift per channel.
///
/// x is N×C or N×…×C. Statistics are those of the batch in training and inference. It is the coarsest choice,
/// which keeps the proportions of channels and of samples.
public struct WholeTensorNorm: Layer {
  /// γ, C; starts at 1; nil where the layer is not affine.
  public let scale: Parameter?
  /// β, C; starts at 0; nil where the layer is not affine.
  public let shift: Parameter?
  /// C.
  public let channels: Int
  /// ε under the root.
  public let epsilon: Float

  /// Makes a norm over everything.
  public init(_ channels: Int, epsilon: Float = 1e-5, affine: Bool = true) {
    scale = affine ? filled(1, [channels]) : nil
    shift = affine ? filled(0, [channels]) : nil
    self.channels = channels
    self.epsilon = epsilon
  }

  /// Records the normalization.
  public func callAsFunction(_ x: Variable) -> Variable {
    let trace = x.trace
    let place = trace.place(of: [scale], kind: "WholeTensorNorm")
    return trace.recording { () throws(KeelError) in
      try x.checkChannels(channels, at: place)
      return x.normalized(
        .whole, operation: .standardize(epsilon: epsilon), scale: trace.variable(scale),
        shift: trace.variable(shift), label: place)
    }
  }
}
