/// A seeded generator (xoshiro256**, Blackman and Vigna 2018): the same seed gives the same numbers on
/// every machine.
public struct RandomSource: RandomNumberGenerator, Sendable {
  private var state: (UInt64, UInt64, UInt64, UInt64)

  /// Makes a generator whose state is spread from the seed by SplitMix64.
  public init(seed: UInt64) {
    var x = seed
    func next() -> UInt64 {
      x &+= 0x9E37_79B9_7F4A_7C15
      var z = x
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
    state = (next(), next(), next(), next())
  }

  /// The next 64 random bits.
  public mutating func next() -> UInt64 {
    let result = rotate(state.1 &* 5, 7) &* 9
    let t = state.1 << 17
    state.2 ^= state.0
    state.3 ^= state.1
    state.1 ^= state.2
    state.0 ^= state.3
    state.2 ^= t
    state.3 = rotate(state.3, 45)
    return result
  }

  /// A uniform number in [0, 1) with 53 random bits.
  public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// A normal number of mean 0 and variance 1, by Marsaglia's polar method (one of its two results).
  public mutating func normal() -> Double {
    while true {
      let u = 2 * uniform() - 1
      let v = 2 * uniform() - 1
      let s = u * u + v * v
      if s > 0, s < 1 { return u * (-2 * logarithm(s) / s).squareRoot() }
    }
  }

  /// A whole number in 0..<bound: the high word of bound times 64 random bits, whose bias is below
  /// bound/2⁶⁴. Written out because the standard library does not promise to keep its own way.
  /// - Precondition: the bound is at least 1.
  public mutating func below(_ bound: Int) -> Int {
    precondition(bound >= 1, "bound: expected at least 1, found \(bound)")
    return Int(next().multipliedFullWidth(by: UInt64(bound)).high)
  }

  /// The values in a random order (Fisher and Yates), the same in every version of Swift.
  public mutating func shuffled<Value>(_ values: [Value]) -> [Value] {
    var values = values
    for i in values.indices.dropFirst().reversed() { values.swapAt(i, below(i + 1)) }
    return values
  }

  private func rotate(_ x: UInt64, _ k: UInt64) -> UInt64 { (x << k) | (x >> (64 - k)) }
}

extension DenseArray where Element == Float {
  /// Makes a tensor of independent normal numbers.
  public init(
    normal shape: Shape, mean: Double = 0, deviation: Double = 1, using source: inout RandomSource
  ) {
    self.init(uninitialized: shape) { out in
      for i in out.indices { out[i] = Float(mean + deviation * source.normal()) }
    }
  }

  /// Makes a tensor of independent uniform numbers in [low, high).
  public init(
    uniform shape: Shape, from low: Double = 0, to high: Double = 1,
    using source: inout RandomSource
  ) {
    self.init(uninitialized: shape) { out in
      for i in out.indices { out[i] = Float(low + (high - low) * source.uniform()) }
    }
  }
}
