/// How batch statistics are laid out in a tensor, so that kernels, running statistics, convolution
/// epilogues and the reference exchange one form: 4×C.
///
/// The mean is kept as two Floats because one loses digits: near 10⁴ a Float's spacing is 1e-3,
/// one hundredth of a deviation of 0.1.
public enum MomentsLayout {
  /// Row 0: the number of elements behind each channel's statistics.
  public static let count = 0
  /// Row 1: the mean, rounded to Float.
  public static let mean = 1
  /// Row 2: the exact mean minus the rounded one.
  public static let meanResidual = 2
  /// Row 3: Σ(x − mean)².
  public static let squaredDeviations = 3
  /// The number of rows.
  public static let rows = 4
}
