import KeelGraph
import KeelTensor

/// Whitens blocks of channels over the batch by a triangle: y = scale·L⁻¹·(x − mean) + shift, with L·Lᵀ = Σ.
///
/// x is N×…×C; Σ = (1 − α)·cov(x) + α·I + ε·I. L⁻¹ is a lower triangle: a channel takes from those before it in
/// its block alone, and the result depends on their order. The cheapest exact whitening, and smooth in Σ. In
/// domain adaptation one layer for each domain shares scale and shift (DWT).
///
/// Siarohin, Sangineto and Sebe 2019, arXiv 1806.00420; Roy et al. 2019, arXiv 1903.03215.
public struct CholeskyWhitening: Layer {
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
  /// α.
  public let shrinkage: Float
  /// How often a factorization that fails is tried again with a shrinkage ten times as large.
  public let retries: Int
  /// What is averaged over batches.
  public let average: WhiteningAverage
  /// The weight of the new value in the running statistics.
  public let momentum: Float
  /// ε on the diagonal of Σ.
  public let epsilon: Float

  /// Makes a whitening layer. Numbers outside their range, and fewer rows than a block has channels without ε, are
  /// thrown when the graph is made; a covariance that is not positive definite when it is run.
  public init(
    _ channels: Int, blockSize: Int = 4, shrinkage: Float = 1e-3, retries: Int = 0,
    epsilon: Float = 0, momentum: Float = 0.1,
    average: WhiteningAverage = .covariance, affine: Bool = true
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
    self.shrinkage = shrinkage
    self.retries = retries
    self.average = average
    self.momentum = momentum
    self.epsilon = epsilon
  }

  /// Records the whitening and, in training, the new running statistics.
  public func callAsFunction(_ x: Variable) -> Variable {
    let parts = WhiteningParts(
      scale: scale, shift: shift, mean: runningMean, second: runningCovariance ?? runningMatrix!,
      average: average, blocks: ChannelBlocks(blockSize), channels: channels, momentum: momentum)
    return parts.record(x, kind: "CholeskyWhitening") { (place) throws(KeelError) in
      try Whitening(
        .cholesky, epsilon: epsilon, shrinkage: shrinkage, retries: retries, place: place)
    }
  }
}
