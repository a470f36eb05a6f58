#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

// Kept behind names of our own so that this target needs no Foundation.

/// The cosine.
internal func cosine(_ x: Double) -> Double { cos(x) }
/// x to the power of y.
internal func power(_ x: Double, _ y: Double) -> Double { pow(x, y) }
