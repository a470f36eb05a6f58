#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The middle of the sorted numbers (the mean of the middle two of an even count), or NaN of none.
public func median(_ numbers: [Double]) -> Double {
  guard !numbers.isEmpty else { return .nan }
  let sorted = numbers.sorted()
  let middle = sorted.count / 2
  return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/// exp of the mean logarithm: the mean of ratios that does not depend on which side is the base.
/// - Returns: nil of no numbers, since there is no neutral answer.
public func geometricMean(_ numbers: [Double]) -> Double? {
  guard !numbers.isEmpty else { return nil }
  return exp(numbers.reduce(0) { $0 + log($1) } / Double(numbers.count))
}
