/// How far numbers are from what they should be.
struct Difference: Sendable {
  /// The largest finite magnitude that was expected.
  private(set) var largest = 0.0
  /// The largest difference; infinite where one number is NaN.
  private(set) var absolute = 0.0

  /// The largest difference relative to the largest magnitude.
  var relative: Double { absolute == 0 ? 0 : absolute / largest }

  /// Takes in one number.
  mutating func add(expected: Double, found: Double) {
    if expected.isFinite { largest = max(largest, abs(expected)) }
    let error = expected == found ? 0 : abs(expected - found)
    absolute = error.isNaN ? .infinity : max(absolute, error)
  }

  /// Takes in numbers in pairs.
  mutating func add(
    expected: some Sequence<Double>, found: some Sequence<Double>
  ) {
    for (a, b) in zip(expected, found) { add(expected: a, found: b) }
  }
}
