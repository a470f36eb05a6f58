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
public struct DecorrelatedBatchNorm: Layer, BatchWhitening {
  /// The axes of what is whitened.
  public enum Method: String, Hashable, Sendable, CaseIterable {
    /// The channels' own.
    case zca
    /// The eigenvectors'.
    case pca
  }

  /// The parameters.
  public let state: WhiteningState
  /// The axes of what is whitened.
  public let method: Method
  /// ε on the diagonal of Σ.
  public let epsilon: Float

  /// Makes a whitening layer. Numbers outside their range, and fewer rows than a block has channels without ε, are
  /// thrown when the graph is made; a covariance that is not positive definite when it is run.
  public init(
    _ channels: Int, blockSize: Int = 16, method: Method = .zca, epsilon: Float = 1e-5,
    momentum: Float = 0.1,
    average: WhiteningAverage = .matrix, affine: Bool = true
  ) {
    state = WhiteningState(
      channels, blockSize: blockSize, momentum: momentum, average: average, affine: affine)
    self.method = method
    self.epsilon = epsilon
  }

  /// How W is made.
  public func whitening(at place: String) throws(KeelError) -> Whitening {
    try Whitening(method == .zca ? .zca : .pca, epsilon: epsilon, place: place)
  }
}
