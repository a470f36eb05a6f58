import KeelTensor

/// The bounds that comparisons use: one table, so that a bound is a statement about rounding and not a
/// number that made a test pass.
///
/// Errors are relative to the largest expected magnitude of a tensor. A Float operation rounds by at
/// most half of `Float.ulpOfOne`; rounding errors of a sum of K terms of either sign grow as √K.
public enum Tolerance {
  /// One Float operation or a few of them, such as add, ReLU, scale and shift.
  public static let elementwise = 4 * Double(Float.ulpOfOne)

  /// A Float sum of `length` products, such as one output of a convolution or matrix product.
  public static func reduction(length: Int) -> Double {
    4 * Double(Float.ulpOfOne) * Double(max(length, 1)).squareRoot()
  }

  /// One output of a convolution.
  public static func convolution(_ geometry: ConvolutionGeometry) -> Double {
    reduction(length: geometry.reductionLength)
  }

  /// How much more Winograd's filtering rounds than sums of the products themselves, at most.
  public static let winograd = 4.0

  /// One weight's gradient of a convolution: a sum over the batch's output positions.
  public static func convolutionWeightGradient(_ geometry: ConvolutionGeometry, batch: Int)
    -> Double
  {
    reduction(length: batch * geometry.outputPositions)
  }

  /// One channel of a transposed convolution, or of a convolution's input gradient: a sum over the kernel
  /// and the output channels of a group.
  public static func transposedConvolution(_ geometry: ConvolutionGeometry) -> Double {
    reduction(length: geometry.tapCount * geometry.outputChannelsPerGroup)
  }

  /// A normalized value, which statistics of `rows` elements went into. These are accumulated in short
  /// chunks and merged in Double, so that a chunk's length and not the number of rows counts.
  public static func normalization(rows: Int) -> Double { reduction(length: min(rows, 256)) }

  /// Four-point central differences in Double against a gradient in Double.
  public static let differences = 1e-6

  /// The same figures added up in Double in two ways.
  public static let double = 1e-12
}
