public import KeelTensor

/// The ways to compute a convolution, best first: the first that serves a geometry is taken.
///
/// | algorithm | serves | how |
/// |---|---|---|
/// | pointwise | 1×1, stride 1, no padding, 1 group | GEMMs over row tiles of the whole batch, no copy |
/// | depthwise | one channel per group | channels along vectors, taps in an inner loop |
/// | im2col | everything | windows of a tile of rows gathered into a block that stays in L2, then GEMM |
public enum ConvolutionAlgorithm: String, CaseIterable, Hashable, Sendable {
  /// GEMM on the input itself.
  case pointwise
  /// Multiply-adds along channels, no GEMM.
  case depthwise
  /// Gathered tiles and GEMM: the general one.
  case im2col

  /// Whether the algorithm can compute a geometry.
  public func serves(_ geometry: ConvolutionGeometry) -> Bool {
    switch self {
    case .pointwise: geometry.isPointwise && geometry.groups == 1
    case .depthwise: geometry.isDepthwise
    case .im2col: true
    }
  }

  /// The first algorithm that serves a geometry.
  public static func choice(for geometry: ConvolutionGeometry) -> ConvolutionAlgorithm {
    allCases.first { $0.serves(geometry) } ?? .im2col
  }
}
