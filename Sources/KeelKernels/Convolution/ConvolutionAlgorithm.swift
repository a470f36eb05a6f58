public import KeelTensor

/// The ways to compute a convolution.
///
/// | algorithm | serves | how | rounding |
/// |---|---|---|---|
/// | depthwise | one channel per group | channels along vectors, taps in an inner loop | 1 |
/// | indirect | everything | windows multiplied where they lie, through a table of addresses | 1 |
/// | winograd2x2 | 3×3, stride 1, 1 group | F(2×2, 3×3): 16 products of matrices for tiles of 4 pixels, 4/9 of the operations | 1 |
/// | winograd4x4 | 3×3, stride 1, 1 group | F(4×4, 3×3): 36 products for tiles of 16 pixels, 1/4 of the operations | 3 |
/// | pointwise | 1×1, stride 1, no padding, 1 group | GEMMs over row tiles of the whole batch, no copy | 1 |
/// | im2col | everything | windows of a tile of rows gathered into a block that stays in L2, then GEMM | 1 |
///
/// Rounding is the root mean square of the error against Double, relative to that of the indirect algorithm, for
/// random operands of 128 channels.
public enum ConvolutionAlgorithm: String, CaseIterable, Hashable, Sendable {
  /// Multiply-adds along channels, no GEMM.
  case depthwise
  /// Products that read windows where they lie: the general one.
  case indirect
  /// Winograd's filtering with tiles of 2×2 pixels.
  case winograd2x2
  /// Winograd's filtering with tiles of 4×4 pixels.
  case winograd4x4
  /// GEMM on the input itself.
  case pointwise
  /// Gathered tiles and GEMM.
  case im2col

  /// Whether the algorithm can compute a geometry.
  public func serves(_ geometry: ConvolutionGeometry) -> Bool {
    switch self {
    case .pointwise: geometry.isPointwise && geometry.groups == 1
    case .depthwise: geometry.isDepthwise
    case .winograd2x2, .winograd4x4: WinogradProduct.serves(geometry)
    case .indirect, .im2col: true
    }
  }

  /// Whether the products themselves are summed, in Float. Winograd's filtering sums others, and cancels.
  public var isExact: Bool { winogradSize == nil }

  /// The pixels along an edge of Winograd's tiles; nil for other algorithms.
  internal var winogradSize: Int? {
    switch self {
    case .winograd2x2: 2
    case .winograd4x4: 4
    default: nil
    }
  }

  /// How much faster Winograd's filtering must be: it rounds more, and its weights take 16/9 or 4 times the memory.
  private static func clearGain(_ algorithm: ConvolutionAlgorithm) -> Double {
    switch algorithm {
    case .winograd2x2: 1.15
    case .winograd4x4: 1.3
    default: 1
    }
  }

  /// The algorithm that serves a geometry in the least time, as `ConvolutionCost` estimates it.
  /// - Parameter exact: whether Winograd's filtering is left out.
  public static func choice(
    for geometry: ConvolutionGeometry, batch: Int = 1, exact: Bool = true
  ) -> ConvolutionAlgorithm {
    if geometry.isDepthwise { return .depthwise }
    let candidates =
      exact ? [.indirect] : [ConvolutionAlgorithm.indirect, .winograd2x2, .winograd4x4]
    func cost(_ algorithm: ConvolutionAlgorithm) -> Double {
      ConvolutionCost(algorithm, geometry, batch: batch).seconds * clearGain(algorithm)
    }
    return candidates.filter { $0.serves(geometry) }.min { cost($0) < cost($1) } ?? .indirect
  }
}
