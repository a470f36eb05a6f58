import KeelGraph
import KeelTensor

/// Standardizes each channel over the batch: y = scale·(x − mean)/√(variance + ε) + shift.
///
/// Channels are the last axis, so one layer serves vectors N×C, sequences N×L×C and images N×H×W×C.
/// In training, mean and variance are those of the batch (population variance), and the running ones
/// move by momentum towards the batch's mean and unbiased variance; in inference, and where the layer
/// is frozen, they are the running ones.
///
/// Ioffe and Szegedy 2015, arXiv 1502.03167.
public struct BatchNorm: Layer {
  /// γ, C; starts at 1; nil where the layer is not affine.
  public let scale: Parameter?
  /// β, C; starts at 0; nil where the layer is not affine.
  public let shift: Parameter?
  /// C; starts at 0.
  public let runningMean: Parameter
  /// C; starts at 1.
  public let runningVariance: Parameter
  /// C.
  public let channels: Int
  /// The weight of the new value in the running statistics.
  public var momentum: Float
  /// ε under the root.
  public var epsilon: Float
  /// Whether training uses the running statistics and leaves them alone, as fine-tuning on few images
  /// does. Scale and shift are trained all the same.
  public var frozen: Bool

  /// Makes a batch norm. Channels below 1, a momentum outside 0…1 and an ε that is negative or not
  /// finite are thrown when the graph is made.
  ///
  /// - Parameters:
  ///   - momentum: the weight of the new value in the running statistics, as in PyTorch.
  ///   - affine: whether there are scale and shift.
  public init(
    _ channels: Int, momentum: Float = 0.1, epsilon: Float = 1e-5, affine: Bool = true,
    frozen: Bool = false
  ) {
    func values(_ value: Float, _ role: Graph.Weight.Role) -> Parameter {
      Parameter(shape: [channels], role: role) { Tensor(repeating: value, shape: $0) }
    }
    scale = affine ? values(1, .trainable) : nil
    shift = affine ? values(0, .trainable) : nil
    runningMean = values(0, .state)
    runningVariance = values(1, .state)
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
    let trace = x.trace
    let place = trace.place(of: runningMean, kind: "BatchNorm")
    do {
      try check(x, at: place)
      let usesBatch = trace.mode == .training && !frozen
      let normalization = try Normalization(
        statistics: usesBatch ? .current : .given, operation: .standardize(epsilon: epsilon),
        recovery: scale == nil ? .none : .affine, place: place)
      let affine = [scale, shift].compactMap { $0 }.map(trace.variable)
      let running = [trace.variable(runningMean), trace.variable(runningVariance)]
      let operands = usesBatch ? [x] + affine : [x] + running + affine
      let results = trace.apply(.normalization(normalization), operands, label: place)
      if usesBatch {
        let updated = trace.apply(
          .runningStatistics(.momentum(momentum)), [results[1]] + running, label: place)
        trace.update(runningMean, updated[0])
        trace.update(runningVariance, updated[1])
      }
      return results[0]
    } catch {
      trace.fail(error)
      return trace.nothing()
    }
  }

  private func check(_ x: Variable, at place: String) throws(KeelError) {
    guard channels >= 1 else {
      throw KeelError(
        .argument, at: place, expected: "channels at least 1", found: "\(channels)")
    }
    guard momentum >= 0, momentum <= 1 else {
      throw KeelError(
        .argument, at: place, expected: "a momentum from 0 to 1 (the weight of the new value)",
        found: "\(momentum)")
    }
    if let type = x.type, type.channelCount != channels {
      throw KeelError(
        .shape, at: place, expected: "an input of \(channels) channels", found: "\(type)")
    }
  }
}
