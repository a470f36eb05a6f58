import BenchmarkHarness
import Keel

/// The comparisons before anything is timed.
enum Checks {
  /// The largest relative difference that rounding explains: a floor for the few operations of the
  /// batch norm, and growth with the square root of the sum's length, wide enough for Winograd.
  static func tolerance(depth: Int) -> Double { 1e-5 + 1e-6 * Double(depth).squareRoot() }

  /// The largest difference relative to the largest expected magnitude; NaN where either has one.
  static func difference(_ found: Tensor, _ expected: Tensor) -> Double {
    guard found.shape == expected.shape else { return .nan }
    return found.withSpan { found in
      expected.withSpan { expected in
        var largest: Float = 0
        var difference: Float = 0
        for i in found.indices {
          let d = abs(found[i] - expected[i])
          // Not max(): it would drop a NaN.
          if !(d <= difference) { difference = d }
          largest = max(largest, abs(expected[i]))
          if difference.isNaN { return .nan }
        }
        return Double(difference) / Double(max(largest, .leastNormalMagnitude))
      }
    }
  }

  /// Compares two whole results.
  /// - Returns: the difference, as `difference(_:_:)` has it.
  /// - Throws: `Mismatch` past the tolerance.
  static func equal(
    _ found: Tensor, _ expected: Tensor, depth: Int, what: String
  ) throws -> Double {
    let error = difference(found, expected)
    let bound = tolerance(depth: depth)
    guard error <= bound else {
      throw Mismatch(description: "\(what): relative difference \(error), at most \(bound) allowed")
    }
    return error
  }

  /// Compares a spread of a convolution's elements with sums in Double: two fast paths that agree
  /// could still be wrong together.
  /// - Throws: `Mismatch` past the tolerance.
  static func convolution(_ found: Tensor, _ data: ShapeData) throws {
    let bound = tolerance(depth: data.shape.depth)
    // The same spread every time, from both ends to the middle of rows and channels.
    var random = RandomSource(seed: 7)
    let last = found.count - 1
    let indices = [0, last] + (0..<126).map { _ in random.below(last + 1) }
    for index in indices {
      let expected = data.expected(flat: index)
      let error = abs(Double(found[flat: index]) - expected) / max(1, abs(expected))
      guard error <= bound else {
        throw Mismatch(
          description: "\(data.shape.line): element \(index) of the convolution is"
            + " \(found[flat: index]), expected \(expected)")
      }
    }
  }
}
