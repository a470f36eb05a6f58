import KeelGraph
import KeelTensor

/// Standardizes each channel over the batch: y = scale·(x − mean)/√(variance + ε) + shift.
///
/// Channels are the last axis, so one layer serves vectors N×C, sequences N×L×C and images N×H×W×C.
/// In training, mean and variance are those of the batch (population variance), and the running ones
/// move by momentum towards the batch's mean and unbiased variance, or are the plain average over batches;
/// in inference, and where the layer is frozen, they are the running ones. Without running statistics they
/// are those of the batch always. It is the default of convolutional networks from about 16 samples per batch
/// on, and folds away in inference; for fewer see `GroupNorm`.
///
/// One value per channel in training is thrown when the graph is made, or run where the batch is open.
///
/// Ioffe and Szegedy 2015, arXiv 1502.03167.
public struct BatchNorm: Layer {
  /// γ, C; starts at 1; nil where the layer is not affine.
  public let scale: Parameter?
  /// β, C; starts at 0; nil where the layer is not affine.
  public let shift: Parameter?
  /// C; starts at 0; nil without running statistics.
  public let runningMean: Parameter?
  /// C; starts at 1; nil without running statistics.
  public let runningVariance: Parameter?
  /// The number of batches behind each channel of a plain average, C; starts at 0.
  public let batchCount: Parameter?
  /// C.
  public let channels: Int
  /// The weight of the new value in the running statistics; nil for the plain average over batches.
  public let momentum: Float?
  /// ε under the root.
  public var epsilon: Float
  /// Whether training uses the running statistics and leaves them alone, as fine-tuning on few images
  /// does. Scale and shift are trained all the same.
  public var frozen: Bool

  /// Makes a batch norm. Channels below 1, a momentum outside 0…1 and an ε that is negative or not
  /// finite are thrown when the graph is made.
  ///
  /// - Parameters:
  ///   - momentum: the weight of the new value in the running statistics, as in PyTorch; nil for the plain
  ///     average over all batches so far.
  ///   - affine: whether there are scale and shift.
  ///   - frozen: whether training uses the running statistics and leaves them alone.
  ///   - tracksRunningStatistics: whether there are running statistics; without, the batch's are used in
  ///     inference, too.
  public init(
    _ channels: Int, momentum: Float? = 0.1, epsilon: Float = 1e-5, affine: Bool = true,
    frozen: Bool = false, tracksRunningStatistics: Bool = true
  ) {
    scale = affine ? filled(1, [channels]) : nil
    shift = affine ? filled(0, [channels]) : nil
    runningMean = tracksRunningStatistics ? filled(0, [channels], role: .state) : nil
    runningVariance = tracksRunningStatistics ? filled(1, [channels], role: .state) : nil
    batchCount =
      tracksRunningStatistics && momentum == nil ? filled(0, [channels], role: .state) : nil
    self.channels = channels
    self.momentum = momentum
    self.epsilon = epsilon
    self.frozen = frozen
  }

  /// Makes a batch norm in the opposite convention: `decay` is the weight of the old value, as in
  /// TensorFlow, Flax and the paper (0.9 is a momentum of 0.1).
  public init(
    _ channels: Int, decay: Float, epsilon: Float = 1e-5, affine: Bool = true, frozen: Bool = false
  ) {
    self.init(
      channels, momentum: 1 - decay, epsilon: epsilon, affine: affine, frozen: frozen)
  }

  /// Records the normalization and, in training, the new running statistics.
  public func callAsFunction(_ x: Variable) -> Variable {
    recorded(x, weights: nil, recovery: nil)
  }

  /// Records the normalization with statistics of weighted elements: m = Σ w·x/n, v = Σ w·(x − m)²/n, n = Σ w.
  ///
  /// Weights are how often an element counts, float32, at least 0, one per sample (N) or per position (x
  /// without its channels): 0 leaves padding out, 2 counts it twice. No gradient reaches them. Weights
  /// that add up to 1 or less leave the running statistics alone; where they add up to 0, y is the shift.
  public func callAsFunction(_ x: Variable, weights: Variable) -> Variable {
    recorded(x, weights: weights, recovery: nil)
  }

  /// Records the normalization with a scale and shift from outside, to which gradients flow: per sample, N×C
  /// (self-modulation; Chen et al. 2019, arXiv 1810.01365), or maps of the shape of x (SPADE; Park et al.
  /// 2019, arXiv 1903.07291). The layer itself must have none.
  public func callAsFunction(_ x: Variable, scale: Variable, shift: Variable) -> Variable {
    recorded(x, weights: nil, recovery: OutsideRecovery(scale: scale, shift: shift))
  }

  private func recorded(
    _ x: Variable, weights: Variable?, recovery: OutsideRecovery?
  ) -> Variable {
    let trace = x.trace
    let place = trace.place(of: [runningMean, scale], kind: "BatchNorm")
    return trace.recording { () throws(KeelError) in
      try x.checkChannels(channels, at: place)
      try checkMomentum(momentum, at: place)
      let running = RunningStatistics(
        runningMean, runningVariance, batchCount, momentum: momentum)
      let operation = Normalization.Operation.standardize(epsilon: epsilon)
      var (scale, shift) = (trace.variable(scale), trace.variable(shift))
      var extent = Normalization.Recovery.Extent.channels
      if let recovery {
        try trace.check(
          scale == nil, at: place, expected: "a layer without scale and shift of its own",
          found: "one with them")
        extent = try recovery.extent(for: x, at: place)
        (scale, shift) = (recovery.scale, recovery.shift)
      }
      if let running, trace.mode == .inference || frozen {
        return x.normalized(
          mean: trace.variable(running.mean), variance: trace.variable(running.variance),
          operation: operation, scale: scale, shift: shift, per: extent, label: place)
      }
      if let weights {
        let moments = x.moments(.batch, weights: weights, label: place)
        running?.follow([moments.withoutSingles()], at: place)
        return x.normalized(
          by: moments, .batch, operation: operation, scale: scale, shift: shift, per: extent,
          label: place)
      }
      let (y, moments) = x.normalizedWithMoments(
        .batch, operation: operation, scale: scale, shift: shift, per: extent, label: place)
      running?.follow([moments], at: place)
      return y
    }
  }
}
