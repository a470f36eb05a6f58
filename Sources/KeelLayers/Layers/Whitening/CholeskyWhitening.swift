import KeelGraph
import KeelTensor

/// Whitens blocks of channels over the batch by a triangle: y = scale·L⁻¹·(x − mean) + shift, with L·Lᵀ = Σ.
///
/// x is N×…×C; Σ = (1 − α)·cov(x) + α·I + ε·I. L⁻¹ is a lower triangle: a channel takes from those before it in
/// its block alone, and the result depends on their order. The cheapest exact whitening, and smooth in Σ. In
/// domain adaptation one layer for each domain shares scale and shift (DWT).
///
/// Siarohin, Sangineto and Sebe 2019, arXiv 1806.00420; Roy et al. 2019, arXiv 1903.03215.
public struct CholeskyWhitening: Layer, BatchWhitening {
  /// The parameters.
  public let state: WhiteningState
  /// α.
  public let shrinkage: Float
  /// How often a factorization that fails is tried again with a shrinkage ten times as large.
  public let retries: Int
  /// ε on the diagonal of Σ.
  public let epsilon: Float

  /// Makes a whitening layer. Numbers outside their range, and fewer rows than a block has channels without ε, are
  /// thrown when the graph is made; a covariance that is not positive definite when it is run.
  public init(
    _ channels: Int, blockSize: Int = 4, shrinkage: Float = 1e-3, retries: Int = 0,
    epsilon: Float = 0, momentum: Float = 0.1,
    average: WhiteningAverage = .covariance, affine: Bool = true
  ) {
    state = WhiteningState(
      channels, blockSize: blockSize, momentum: momentum, average: average, affine: affine)
    self.shrinkage = shrinkage
    self.retries = retries
    self.epsilon = epsilon
  }

  /// How W is made.
  public func whitening(at place: String) throws(KeelError) -> Whitening {
    try Whitening(
      .cholesky, epsilon: epsilon, shrinkage: shrinkage, retries: retries, place: place)
  }
}
