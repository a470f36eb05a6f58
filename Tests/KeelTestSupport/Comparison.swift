import KeelReference
import KeelTensor
import Testing

/// Expects every element of a Float tensor within a bound of the Double one.
///
/// The error of an element is relative to the largest finite expected magnitude, or to `scale`; where
/// all of `expected` is 0 and no scale is given, every element must be 0. A NaN on either side fails.
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
  let actual = DoubleTensor(widening: actual)
  return expectClose(
    actual, expected, bound: bound, scale: scale, what, sourceLocation: sourceLocation)
}

/// Expects every element of a Double tensor within a bound of another, as for a Float tensor.
@discardableResult
public func expectClose(
  _ actual: DoubleTensor, _ expected: DoubleTensor, bound: Double, scale: Double? = nil,
  _ what: String = "", sourceLocation: SourceLocation = #_sourceLocation
) -> Bool {
  guard let mismatch = mismatch(actual, expected, bound: bound, scale: scale) else { return true }
  Issue.record("\(what): \(mismatch)", sourceLocation: sourceLocation)
  return false
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

/// What keeps two tensors from being close, in words, or nil: the rule behind `expectClose`.
public func mismatch(
  _ actual: DoubleTensor, _ expected: DoubleTensor, bound: Double, scale: Double? = nil
) -> String? {
  guard actual.shape == expected.shape else {
    return "expected shape \(expected.shape), found \(actual.shape)"
  }
  let scale = scale ?? expected.largestMagnitude
  var worst: (index: Int, error: Double)?
  var failures = 0
  for (index, (a, e)) in zip(actual.elements, expected.elements).enumerated() {
    let error = a == e ? 0 : abs(a - e) / scale
    // Not `error > bound`, which a NaN would pass.
    if !(error <= bound) {
      failures += 1
      if worst == nil || error.isNaN || error > worst!.error { worst = (index, error) }
    }
  }
  guard let worst else { return nil }
  return """
    \(failures) of \(actual.count) elements are off, the worst at \
    \(indices(of: worst.index, in: actual.shape)): expected \(expected[flat: worst.index]), found \
    \(actual[flat: worst.index]), error \(worst.error) of \(scale), bound \(bound)
    """
}

extension DenseArray where Element == Double {
  /// The largest finite magnitude, 0 for none.
  public var largestMagnitude: Double { elements.lazy.map(abs).filter(\.isFinite).max() ?? 0 }
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
