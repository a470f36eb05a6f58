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
public struct IterNorm: Layer, BatchWhitening {
  /// The parameters.
  public let state: WhiteningState
  /// T.
  public let steps: Int
  /// Whether the iteration is the coupled one.
  public let coupled: Bool
  /// ε on the diagonal of Σ.
  public let epsilon: Float

  /// Makes a whitening layer. Numbers outside their range, and fewer rows than a block has channels without ε, are
  /// thrown when the graph is made; a covariance that is not positive definite when it is run.
  public init(
    _ channels: Int, blockSize: Int = 64, steps: Int = 5, coupled: Bool = true,
    epsilon: Float = 1e-5, momentum: Float = 0.1,
    average: WhiteningAverage = .matrix, affine: Bool = true
  ) {
    state = WhiteningState(
      channels, blockSize: blockSize, momentum: momentum, average: average, affine: affine)
    self.steps = steps
    self.coupled = coupled
    self.epsilon = epsilon
  }

  /// How W is made.
  public func whitening(at place: String) throws(KeelError) -> Whitening {
    try Whitening(.newtonSchulz(steps: steps, coupled: coupled), epsilon: epsilon, place: place)
  }
}
