/// The factor on the deviation of initial weights that makes up for what the following activation does
/// to the second moment.
public struct Gain: Hashable, Sendable {
  /// The factor.
  public var value: Double

  /// Makes a gain.
  public init(_ value: Double) { self.value = value }

  /// 1, for layers with no activation or a sigmoid.
  public static let linear = Gain(1)
  /// √2: half of the second moment is cut off.
  public static let relu = Gain(2.0.squareRoot())
  /// 5/3.
  public static let tanh = Gain(5.0 / 3.0)
  /// 3/4, which PyTorch found to train more steadily than the 1 of self-normalizing networks.
  public static let selu = Gain(0.75)
  /// √(2/(1 + slope²)).
  public static func leakyReLU(slope: Double = 0.01) -> Gain {
    Gain((2 / (1 + slope * slope)).squareRoot())
  }
}
