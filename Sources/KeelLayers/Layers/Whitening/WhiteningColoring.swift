import KeelGraph
import KeelTensor

/// Gives one feature map the statistics of another, sample by sample: the whitening-coloring transform.
///
///     y = blend·(M_s·W_c·(x − mean_c) + mean_s) + (1 − blend)·x,    W_c·Σ_c·W_cᵀ = I,  M_s·M_sᵀ = Σ_s
///
/// Content x and style are N×…×C with the same N and C; their positions may differ in number. With blocks
/// smaller than C, blocks are whitened and colored by themselves, the exact form of group-wise whitening and
/// coloring (GDWCT); blocks of one channel are adaptive instance normalization. Eigenvalues below a share of
/// the largest are left out, as the authors leave out those of dead channels.
///
/// For style transfer. Li et al. 2017, arXiv 1705.08086; Cho et al. 2019, arXiv 1812.09912.
public struct WhiteningColoring: Sendable {
  /// d; nil for all channels together.
  public let blockSize: Int?
  /// How roots of covariances are taken.
  public let method: Whitening.Method
  /// How much of the result is the transform's.
  public let blend: Float
  /// ε on the diagonals.
  public let epsilon: Float
  /// The share of the largest eigenvalue below which axes are left out; for eigenvalues only.
  public let truncation: Float

  /// Makes a transform. Numbers outside their range are thrown when the graph is made.
  public init(
    blockSize: Int? = nil, method: Whitening.Method = .zca, blend: Float = 1, epsilon: Float = 0,
    truncation: Float = 1e-5
  ) {
    self.blockSize = blockSize
    self.method = method
    self.blend = blend
    self.epsilon = epsilon
    self.truncation = truncation
  }

  /// Records the transform of a content by a style.
  public func callAsFunction(_ content: Variable, style: Variable) -> Variable {
    let trace = content.trace
    let place = "WhiteningColoring after \(trace.lastLayer)"
    return trace.recording { () throws(KeelError) in
      guard let type = content.type, let other = style.type else { return content }
      try trace.check(
        type.rank >= 2 && other.rank >= 2 && type.channelCount != nil
          && type.channelCount == other.channelCount && type.extents[0] == other.extents[0],
        .shape, at: place,
        expected: "a style of as many samples and channels as the content, \(type)",
        found: "\(other)")
      try trace.check(
        blend >= 0 && blend <= 1, at: place, expected: "a blend from 0 to 1", found: "\(blend)")
      let blocks = ChannelBlocks(blockSize ?? type.channelCount!, over: .sample)
      func rule(_ direction: Whitening.Direction) throws(KeelError) -> Whitening {
        let whole = method == .zca || method == .pca
        return try Whitening(
          method, direction, epsilon: epsilon, truncation: whole ? truncation : 0, place: place)
      }
      let (whitening, coloring) = (try rule(.whitening), try rule(.coloring))
      let (from, to) = (
        content.comoments(blocks, label: place), style.comoments(blocks, label: place)
      )
      let w = from.whiteningMatrix(whitening, blocks, label: place)
      let m = to.whiteningMatrix(coloring, blocks, label: place)
      // Row j of packed matrices is what channel j gives: mapping the rows multiplies the matrices.
      func turned(_ table: Variable) -> Variable {
        trace.apply(.transpose(permutation: [1, 0, 2]), [table], label: place)[0]
      }
      let both = turned(turned(w).mapped(by: m, blocks, label: place))
      let y = content.mapped(
        by: both, blocks, centre: from.comomentsCentre, shift: to.comomentsMean, label: place)
      return blend == 1 ? y : y * blend + content * (1 - blend)
    }
  }
}
