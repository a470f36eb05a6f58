/// Sets elements to 0 at random and scales what is left by 1/(1 − p).
///
/// Which elements depends on a seed, the stream and the element's index alone: no mask is stored, and the
/// gradient makes the same one again. Indices count elements in row-major order (of N×C where whole
/// channels go), modulo 2³².
public struct DropoutMask: Hashable, Sendable {
  /// What is kept or dropped as one.
  public enum Unit: Hashable, Sendable {
    /// Each element.
    case element
    /// Each channel of each sample, at all positions.
    case channel
  }

  /// The probability p of an element to be dropped, from 0 to 1.
  public var probability: Float
  /// What tells the dropouts of one network apart.
  public var stream: Int
  /// What is kept or dropped as one.
  public var unit: Unit

  /// Makes a dropout.
  public init(probability: Float, stream: Int, unit: Unit = .element) {
    self.probability = probability
    self.stream = stream
    self.unit = unit
  }

  /// What elements that are kept are multiplied by: 1/(1 − p), and 0 for p = 1.
  public var factor: Float { probability < 1 ? 1 / (1 - probability) : 0 }

  /// An element is dropped where its random bits, a 32-bit number, are below this: p·2³² rounded down. For
  /// p = 1 the factor does it.
  public var threshold: UInt32 {
    probability < 1 ? UInt32(Double(probability) * 0x1p32) : 0
  }

  /// The two words that a seed and the stream make, by the mixer of SplitMix64 (Steele et al. 2014).
  public func key(seed: Int64) -> (first: UInt32, second: UInt32) {
    let start = Self.mixed(UInt64(bitPattern: seed) &+ 0x9E37_79B9_7F4A_7C15)
    let key = Self.mixed(
      start ^ (UInt64(truncatingIfNeeded: stream) &+ 1) &* 0xD1B5_4A32_D192_ED03)
    return (UInt32(truncatingIfNeeded: key), UInt32(truncatingIfNeeded: key >> 32))
  }

  /// One-to-one on 64 bits.
  public static func mixed(_ x: UInt64) -> UInt64 {
    var z = x
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
