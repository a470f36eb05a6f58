import KeelTensor
import Testing

/// Expects every element of a Float tensor within a bound of the Double one.
///
/// The error of an element is relative to the largest expected magnitude, or to `scale`; where all of
/// `expected` is 0 and no scale is given, every element must be 0. A NaN on either side fails.
///
/// - Parameters:
///   - bound: the largest error allowed, from `Tolerance`.
///   - scale: what errors are relative to, instead of the largest expected magnitude.
///   - what: what is compared, for the message (name the seed here).
/// - Returns: whether it held.
@discardableResult
public func expectClose(
  _ actual: Tensor, _ expected: DoubleTensor, bound: Double, scale: Double? = nil,
  _ what: String = "", sourceLocation: SourceLocation = #_sourceLocation
) -> Bool {
  expectClose(
    actual.elements.map(Double.init), actual.shape, expected, bound, scale, what, sourceLocation)
}

/// Expects every element of a Double tensor within a bound of another, as for a Float tensor.
@discardableResult
public func expectClose(
  _ actual: DoubleTensor, _ expected: DoubleTensor, bound: Double, scale: Double? = nil,
  _ what: String = "", sourceLocation: SourceLocation = #_sourceLocation
) -> Bool {
  expectClose(actual.elements, actual.shape, expected, bound, scale, what, sourceLocation)
}

/// Expects numbers within an absolute distance of printed ones, such as half a unit of the last
/// printed digit. A NaN fails.
@discardableResult
public func expectClose(
  _ actual: [Double], _ expected: [Double], within distance: Double, _ what: String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) -> Bool {
  let holds =
    actual.count == expected.count
    && zip(actual, expected).allSatisfy { abs($0 - $1) <= distance }
  #expect(
    holds, "\(what): expected \(expected) within \(distance), found \(actual)",
    sourceLocation: sourceLocation)
  return holds
}

extension DenseArray where Element == Double {
  /// The largest magnitude, 0 for none; NaN elements are passed over.
  public var largestMagnitude: Double { elements.lazy.map(abs).filter { !$0.isNaN }.max() ?? 0 }
}

private func expectClose(
  _ actual: [Double], _ shape: Shape, _ expected: DoubleTensor, _ bound: Double, _ scale: Double?,
  _ what: String, _ sourceLocation: SourceLocation
) -> Bool {
  guard shape == expected.shape else {
    Issue.record(
      "\(what): expected shape \(expected.shape), found \(shape)", sourceLocation: sourceLocation)
    return false
  }
  let scale = scale ?? expected.largestMagnitude
  var worst: (index: Int, error: Double)?
  var failures = 0
  for (index, (a, e)) in zip(actual, expected.elements).enumerated() {
    let error = abs(a - e) == 0 ? 0 : abs(a - e) / scale
    if !(error <= bound) {
      failures += 1
      // A NaN is worse than any number.
      if worst == nil || error > worst!.error || error.isNaN { worst = (index, error) }
    }
  }
  guard let worst else { return true }
  Issue.record(
    """
    \(what): \(failures) of \(actual.count) elements are off, the worst at \
    \(indices(of: worst.index, in: shape)): expected \(expected[flat: worst.index]), found \
    \(actual[worst.index]), error \(worst.error) of \(scale), bound \(bound)
    """, sourceLocation: sourceLocation)
  return false
}

/// The index along each axis of a position in row-major order.
private func indices(of position: Int, in shape: Shape) -> [Int] {
  var rest = position
  var result: [Int] = []
  for extent in shape.extents.reversed() {
    result.append(rest % extent)
    rest /= extent
  }
  return result.reversed()
}
