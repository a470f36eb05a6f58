import KeelGraph
import KeelTensor

/// Whitens blocks of channels over the batch: y = scale·W·(x − mean) + shift, with W·Σ·Wᵀ = I.
///
/// x is N×…×C; Σ is the d×d covariance of each block with ε on its diagonal. ZCA, U·Λ^(−1/2)·Uᵀ, keeps the
/// channels' axes; PCA turns into axes that change places from batch to batch, and is for comparison. Its
/// gradient is the closed form that stays finite for equal eigenvalues. In inference, mean and matrix are
/// running ones, and fold away. Blocks of one channel are batch norm.
///
/// For networks that batch norm alone conditions badly; blocks of 16 cost little. More rows than channels of a
/// block are needed, many more to be of use.
///
/// Huang, Yang, Lang and Deng 2018, arXiv 1804.08450.
public struct DecorrelatedBatchNorm: Layer {
  /// The axes of what is whitened.
  public enum Method: String, Hashable, Sendable, CaseIterable {
    /// The channels' own.
    case zca
    /// The eigenvectors'.
    case pca
  }

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
  /// The axes of what is whitened.
  public let method: Method
  /// What is averaged over batches.
  public let average: WhiteningAverage
  /// The weight of the new value in the running statistics.
  public let momentum: Float
  /// ε on the diagonal of Σ.
  public let epsilon: Float

  /// Makes a whitening layer. Numbers outside their range, and fewer rows than a block has channels without ε, are
  /// thrown when the graph is made; a covariance that is not positive definite when it is run.
  public init(
    _ channels: Int, blockSize: Int = 16, method: Method = .zca, epsilon: Float = 1e-5,
    momentum: Float = 0.1,
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
    self.method = method
    self.average = average
    self.momentum = momentum
    self.epsilon = epsilon
  }

  /// Records the whitening and, in training, the new running statistics.
  public func callAsFunction(_ x: Variable) -> Variable {
    let parts = WhiteningParts(
      scale: scale, shift: shift, mean: runningMean, second: runningCovariance ?? runningMatrix!,
      average: average, blocks: ChannelBlocks(blockSize), channels: channels, momentum: momentum)
    return parts.record(x, kind: "DecorrelatedBatchNorm") { (place) throws(KeelError) in
      try Whitening(method == .zca ? .zca : .pca, epsilon: epsilon, place: place)
    }
  }
}
