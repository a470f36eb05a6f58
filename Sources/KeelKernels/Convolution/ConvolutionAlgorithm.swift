public import KeelTensor

/// The ways to compute a convolution, best first: the first that serves a geometry is taken.
///
/// | algorithm | serves | how |
/// |---|---|---|
/// | depthwise | one channel per group | channels along vectors, taps in an inner loop |
/// | indirect | everything | windows multiplied where they lie, through a table of addresses |
/// | pointwise | 1×1, stride 1, no padding, 1 group | GEMMs over row tiles of the whole batch, no copy |
/// | im2col | everything | windows of a tile of rows gathered into a block that stays in L2, then GEMM |
public enum ConvolutionAlgorithm: String, CaseIterable, Hashable, Sendable {
  /// Multiply-adds along channels, no GEMM.
  case depthwise
  /// Products that read windows where they lie: the general one.
  case indirect
  /// GEMM on the input itself.
  case pointwise
  /// Gathered tiles and GEMM.
  case im2col

  /// Whether the algorithm can compute a geometry.
  public func serves(_ geometry: ConvolutionGeometry) -> Bool {
    switch self {
    case .pointwise: geometry.isPointwise && geometry.groups == 1
    case .depthwise: geometry.isDepthwise
    case .indirect, .im2col: true
    }
  }

  /// The first algorithm that serves a geometry.
  public static func choice(for geometry: ConvolutionGeometry) -> ConvolutionAlgorithm {
    allCases.first { $0.serves(geometry) } ?? .indirect
  }
}
