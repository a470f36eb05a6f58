import KeelTensor

/// A lecture's batch norm of three channels: the printed statistics of its batches, and what the layer
/// makes of them.
///
/// The draws cannot be had again, but batches of the printed mean and deviation give the printed
/// results. The printed running statistics come from four updates in training, the two test batches
/// included, with the unbiased variance: with the biased one the last digits would be 1.3696, 1.3679
/// and 1.3781.
public enum BatchNormDemo {
  /// One batch of 100 images of 2×2.
  public struct Batch: Sendable {
    /// What the lecture calls it.
    public let name: String
    /// The mean per channel.
    public let means: [Double]
    /// The population deviation per channel.
    public let deviations: [Double]
    /// The running mean after an update with this batch, and half a unit of its last digit.
    public let runningMeans: [Double]
    /// The square root of the running variance after that update.
    public let runningDeviations: [Double]
    /// Half a unit of the last digit of the running statistics.
    public let rounding: Double
  }

  /// The shape of each batch, N×H×W×C.
  public static let shape: Shape = [100, 2, 2, 3]
  /// The weight of the new value in the running statistics.
  public static let momentum: Float = 0.1
  /// What is added to variances.
  public static let epsilon: Float = 1e-5

  /// The batches in the order of their updates.
  public static let batches: [Batch] = [
    Batch(
      name: "train 1", means: [0.0107, 1.0870, 2.0128], deviations: [2.0200, 1.9704, 2.1094],
      runningMeans: [0.00107, 0.10870, 0.20128], runningDeviations: [1.14414, 1.13544, 1.16020],
      rounding: 5e-6),
    Batch(
      name: "train 2", means: [-4.9791, -5.2417, -4.8956], deviations: [3.0027, 3.0281, 2.9813],
      runningMeans: [-0.49695, -0.42634, -0.30841], runningDeviations: [1.44293, 1.44206, 1.45000],
      rounding: 5e-6),
    Batch(
      name: "test 1", means: [0.0054, 1.0435, 2.0064], deviations: [1.0100, 0.9852, 1.0547],
      runningMeans: [-0.44671, -0.27936, -0.07693],
      runningDeviations: [1.40574, 1.40317, 1.41555], rounding: 5e-6),
    Batch(
      name: "test 2", means: [5.0070, 4.9194, 5.0348], deviations: [1.0009, 1.0094, 0.9938],
      runningMeans: [0.0987, 0.2405, 0.4342], runningDeviations: [1.3707, 1.3690, 1.3793],
      rounding: 5e-5),
  ]

  /// The printed statistics of the outputs for the last two batches in evaluation, with the running
  /// statistics after all four updates; inputs are rounded, so they hold within 2e-4.
  public static let evaluation: [(batch: Int, means: [Double], deviations: [Double])] = [
    (2, [-0.0681, 0.5865, 1.1398], [0.7368, 0.7197, 0.7647]),
    (3, [3.5808, 3.4178, 3.3355], [0.7302, 0.7373, 0.7205]),
  ]

  /// How closely the figures of `evaluation` hold.
  public static let evaluationTolerance = 2e-4

  /// Data of a batch: random, then standardized to the printed statistics.
  public static func data(_ batch: Batch, seed: UInt64) -> DoubleTensor {
    var source = TensorSource(seed: seed)
    return source.standardized(shape, means: batch.means, deviations: batch.deviations)
  }
}
