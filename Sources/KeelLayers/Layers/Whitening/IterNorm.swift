import KeelGraph
import KeelTensor

/// Whitens blocks of channels over the batch by steps of Newton and Schulz: y = scale·P_T·(x − mean)/√tr Σ +
/// shift.
///
/// x is N×…×C; P₀ = I, P ← (3·P − P³·Σ/tr Σ)/2. No eigenvalues: only products of matrices. Few steps whiten in
/// part: with five, axes of small variance stay small, which the authors want. The plain iteration is refused
/// beyond 7 steps, where its rounding errors grow; the coupled one, the same in exact arithmetic, converges for
/// any number.
///
/// For decorrelated batch norm at a lower price and with less noise.
///
/// Huang, Zhou, Zhu, Liu and Shao 2019, arXiv 1904.03441.
public struct IterNorm: Layer {
  /// γ, C; starts at 1; nil where the layer is not affine.
  public let scale: Parameter?
  /// β, C; starts at 0; nil where the layer is not affine.
  public let shift: Parameter?
  /// C; starts at 0.
  public let runningMean: Parameter
  /// Of the blocks' covariance, d×C; starts at I; nil where the matrix itself is averaged.
  public let runningCovariance: Parameter?
  /// Of the blocks' matrices, packed as `BlockMap` takes them, d×C; starts at I; nil where the covariance is.
  public let runningMatrix: Parameter?
  /// C.
  public let channels: Int
  /// d; the last block may be smaller.
  public let blockSize: Int
  /// T.
  public let steps: Int
  /// Whether the iteration is the coupled one.
  public let coupled: Bool
  /// What is averaged over batches.
  public let average: WhiteningAverage
  /// The weight of the new value in the running statistics.
  public let momentum: Float
  /// ε on the diagonal of Σ.
  public let epsilon: Float

  /// Makes a whitening layer. Numbers outside their range, and fewer rows than a block has channels without ε, are
  /// thrown when the graph is made; a covariance that is not positive definite when it is run.
  public init(
    _ channels: Int, blockSize: Int = 64, steps: Int = 5, coupled: Bool = true,
    epsilon: Float = 1e-5, momentum: Float = 0.1,
    average: WhiteningAverage = .matrix, affine: Bool = true
  ) {
    scale = affine ? filled(1, [channels]) : nil
    shift = affine ? filled(0, [channels]) : nil
    runningMean = filled(0, [channels], role: .state)
    let blockSize = min(blockSize, channels)
    runningCovariance =
      average == .covariance ? WhiteningParts.identity(channels, blockSize) : nil
    runningMatrix = average == .matrix ? WhiteningParts.identity(channels, blockSize) : nil
    self.channels = channels
    self.blockSize = blockSize
    self.steps = steps
    self.coupled = coupled
    self.average = average
    self.momentum = momentum
    self.epsilon = epsilon
  }

  /// Records the whitening and, in training, the new running statistics.
  public func callAsFunction(_ x: Variable) -> Variable {
    let parts = WhiteningParts(
      scale: scale, shift: shift, mean: runningMean, second: runningCovariance ?? runningMatrix!,
      average: average, blocks: ChannelBlocks(blockSize), channels: channels, momentum: momentum)
    return parts.record(x, kind: "IterNorm") { (place) throws(KeelError) in
      try Whitening(.newtonSchulz(steps: steps, coupled: coupled), epsilon: epsilon, place: place)
    }
  }
}
