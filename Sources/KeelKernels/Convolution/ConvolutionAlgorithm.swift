public import KeelTensor

/// The ways to compute a convolution.
///
/// | algorithm | serves | how | rounding |
/// |---|---|---|---|
/// | depthwise | one channel per group | channels along vectors, taps in an inner loop | 1 |
/// | indirect | everything | windows multiplied where they lie, through a table of addresses | 1 |
/// | winograd2x2 | 3×3, stride 1, 1 group | F(2×2, 3×3): 16 products of matrices for tiles of 4 pixels, 4/9 of the operations | 1 |
/// | winograd4x4 | 3×3, stride 1, 1 group | F(4×4, 3×3): 36 products for tiles of 16 pixels, 1/4 of the operations | 3 |
/// | compactWinograd4x4 | the same | the same, with a packed weight of 9 floats for each pair of channels, not 36: what it makes of them is made at each run, in L2 | 3 |
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
  /// The same, whose weight is transformed at each run.
  case compactWinograd4x4
  /// GEMM on the input itself.
  case pointwise
  /// Gathered tiles and GEMM.
  case im2col

  /// Whether the algorithm can compute a geometry.
  public func serves(_ geometry: ConvolutionGeometry) -> Bool {
    switch self {
    case .pointwise: geometry.isPointwise && geometry.groups == 1
    case .depthwise: geometry.isDepthwise
    case .winograd2x2, .winograd4x4, .compactWinograd4x4: WinogradProduct.serves(geometry)
    case .indirect, .im2col: true
    }
  }

  /// Whether the algorithm can take an input that is moved (see `PixelMap`), or that comes in so many parts.
  package func readsThrough(_ geometry: ConvolutionGeometry, parts: Int = 1) -> Bool {
    guard serves(geometry), geometry.axes.count <= 2 else { return false }
    return switch self {
    case .indirect: parts == 1
    case .winograd2x2, .winograd4x4, .compactWinograd4x4: parts <= 2
    case .depthwise, .pointwise, .im2col: false
    }
  }

  /// Whether the algorithm can do what a convolution's neighbours leave to it.
  package func serves(_ geometry: ConvolutionGeometry, _ demands: ConvolutionDemands) -> Bool {
    serves(geometry)
      && (demands.parts == 0 || readsThrough(geometry, parts: demands.parts))
      && (!demands.pools || winogradSize != nil)
      && (!demands.gathersMoments || self == .indirect || winogradSize != nil)
  }

  /// Whether the products themselves are summed, in Float. Winograd's filtering sums others, and cancels.
  public var isExact: Bool { winogradSize == nil }

  /// The pixels along an edge of Winograd's tiles; nil for other algorithms.
  internal var winogradSize: Int? {
    switch self {
    case .winograd2x2: 2
    case .winograd4x4, .compactWinograd4x4: 4
    default: nil
    }
  }

  /// How much faster Winograd's filtering must be: it rounds more, or its weight takes 16/9 of the memory.
  private static func clearGain(_ algorithm: ConvolutionAlgorithm) -> Double {
    algorithm.isExact ? 1 : 1.15
  }

  /// F(4×4) with the components of its weight in memory, which are four times the weight, where that is little beside
  /// the pixels; else with the weight alone, which takes some percent longer.
  private static func largeTiles(
    _ geometry: ConvolutionGeometry, batch: Int
  ) -> ConvolutionAlgorithm {
    let pixels =
      geometry.inputShape(batch: batch).elementCount
      + geometry.outputShape(batch: batch).elementCount
    let more = 27 * geometry.inputChannels * geometry.outputChannels
    return more <= max(keptFloats, pixels / 4) ? .winograd4x4 : .compactWinograd4x4
  }

  /// Floats beyond a weight that are little anyway.
  private static let keptFloats = 200_000

  /// The algorithm that serves a geometry in the least time, as `ConvolutionCost` estimates it.
  /// - Parameter exact: whether Winograd's filtering is left out.
  public static func choice(
    for geometry: ConvolutionGeometry, batch: Int = 1, exact: Bool = true
  ) -> ConvolutionAlgorithm {
    if geometry.isDepthwise { return .depthwise }
    let candidates =
      exact
      ? [.indirect]
      : [ConvolutionAlgorithm.indirect, .winograd2x2, largeTiles(geometry, batch: batch)]
    func cost(_ algorithm: ConvolutionAlgorithm) -> Double {
      ConvolutionCost(algorithm, geometry, batch: batch).seconds * clearGain(algorithm)
    }
    return candidates.filter { $0.serves(geometry) }.min { cost($0) < cost($1) } ?? .indirect
  }
}

/// What a plan wants of a convolution beside the convolution.
package struct ConvolutionDemands: Hashable, Sendable {
  /// The parts in which it reads its input through; 0 where it reads the input as it is.
  package let parts: Int
  /// Whether it takes the maxima of 2×2 pixels of its result along.
  package let pools: Bool
  /// Whether it gathers the moments of its result.
  package let gathersMoments: Bool

  package init(parts: Int = 0, pools: Bool = false, gathersMoments: Bool = false) {
    self.parts = parts
    self.pools = pools
    self.gathersMoments = gathersMoments
  }
}
