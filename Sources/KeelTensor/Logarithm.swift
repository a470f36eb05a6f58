#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The natural logarithm, kept behind one name so that this target needs no Foundation.
internal func logarithm(_ x: Double) -> Double { log(x) }
