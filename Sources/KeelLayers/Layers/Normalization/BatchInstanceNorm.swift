import KeelGraph
import KeelTensor

/// Blends batch and instance norm per channel: y = scale·(ρ·b + (1 − ρ)·i) + shift, with b the batch norm of x
/// and i its instance norm, both without affine.
///
/// x is N×…×C with at least one axis between. ρ starts at 1, pure batch norm, and belongs in 0…1: call
/// `clamp()` after each step of the optimizer. The paper trains it with ten times the learning rate and no
/// weight decay. In inference the batch's part uses running statistics, the instance's its own. For tasks in
/// which style matters in some channels and disturbs in others.
///
/// Nam and Kim 2018, arXiv 1805.07925.
public struct BatchInstanceNorm: Layer {
  /// γ, C; starts at 1.
  public let scale: Parameter
  /// β, C; starts at 0.
  public let shift: Parameter
  /// ρ, C; starts at 1.
  public let rho: Parameter
  /// C; starts at 0.
  public let runningMean: Parameter
  /// C; starts at 1.
  public let runningVariance: Parameter
  /// C.
  public let channels: Int
  /// The weight of the new value in the running statistics.
  public let momentum: Float
  /// ε under both roots.
  public let epsilon: Float

  /// Makes a batch-instance norm. Channels below 1, a momentum outside 0…1 and an ε that is negative or not
  /// finite are thrown when the graph is made.
  public init(_ channels: Int, momentum: Float = 0.1, epsilon: Float = 1e-5) {
    scale = filled(1, [channels])
    shift = filled(0, [channels])
    rho = filled(1, [channels])
    runningMean = filled(0, [channels], role: .state)
    runningVariance = filled(1, [channels], role: .state)
    self.channels = channels
    self.momentum = momentum
    self.epsilon = epsilon
  }

  /// Puts ρ back into 0…1.
  public func clamp() {
    let old = rho.value
    rho.value = Tensor(uninitialized: old.shape) { out in
      for i in out.indices { out[i] = min(max(old[flat: i], 0), 1) }
    }
  }

  /// Records the normalization and, in training, the new running statistics.
  public func callAsFunction(_ x: Variable) -> Variable {
    let trace = x.trace
    let place = trace.place(of: scale, kind: "BatchInstanceNorm")
    return trace.recording { () throws(KeelError) in
      try x.checkChannels(channels, at: place)
      try checkMomentum(momentum, at: place)
      let operation = Normalization.Operation.standardize(epsilon: epsilon)
      let (scale, shift, rho) = (
        trace.variable(scale), trace.variable(shift), trace.variable(rho)
      )
      let instance = x.normalized(
        .instance, operation: operation, scale: scale * (1 - rho), label: place)
      if trace.mode == .inference {
        return x.normalized(
          mean: trace.variable(runningMean), variance: trace.variable(runningVariance),
          operation: operation, scale: scale * rho, shift: shift, residual: instance, label: place)
      }
      let (y, moments) = x.normalizedWithMoments(
        .batch, operation: operation, scale: scale * rho, shift: shift, residual: instance,
        label: place)
      RunningStatistics(runningMean, runningVariance, nil, momentum: momentum)?
        .follow([moments], at: place)
      return y
    }
  }
}
