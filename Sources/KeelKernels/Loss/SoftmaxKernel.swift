#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif
package import KeelTensor

/// Softmax along rows and its cross-entropy with labels. Sums run in Double; the largest logit is
/// subtracted first, so no exponential overflows.
package enum SoftmaxKernel {
  /// y[n, k] = exp(x[n, k]) / Σ_j exp(x[n, j]).
  package static func softmax(
    _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, rows: Int, columns: Int
  ) {
    for row in 0..<rows {
      let from = x + row * columns
      let to = y + row * columns
      let (largest, sum) = normalizer(from, columns)
      for k in 0..<columns { to[k] = Float(exp(Double(from[k]) - largest) / sum) }
    }
  }

  /// mean over rows of log Σ_j exp(x[n, j]) − x[n, label[n]].
  /// - Throws: `KeelError` of kind `value` for a label outside 0..<columns.
  package static func crossEntropy(
    _ x: UnsafePointer<Float>, labels: UnsafePointer<Int64>, rows: Int, columns: Int,
    place: String
  ) throws(KeelError) -> Float {
    var loss = 0.0
    for row in 0..<rows {
      let label = try checkedLabel(labels[row], row, columns, place)
      let (largest, sum) = normalizer(x + row * columns, columns)
      loss += largest + log(sum) - Double(x[row * columns + label])
    }
    return Float(loss / Double(rows))
  }

  /// dx[n, k] = dLoss/N·(softmax(x)[n, k] − [k = label[n]]).
  /// - Throws: as `crossEntropy`.
  package static func crossEntropyGradient(
    _ x: UnsafePointer<Float>, labels: UnsafePointer<Int64>, dLoss: Float,
    into dx: UnsafeMutablePointer<Float>, rows: Int, columns: Int, place: String
  ) throws(KeelError) {
    let factor = Double(dLoss) / Double(rows)
    for row in 0..<rows {
      let label = try checkedLabel(labels[row], row, columns, place)
      let from = x + row * columns
      let to = dx + row * columns
      let (largest, sum) = normalizer(from, columns)
      for k in 0..<columns {
        let p = exp(Double(from[k]) - largest) / sum
        to[k] = Float(factor * (k == label ? p - 1 : p))
      }
    }
  }

  /// The largest element and Σ exp(x − largest).
  private static func normalizer(_ x: UnsafePointer<Float>, _ columns: Int) -> (Double, Double) {
    var largest = -Double.infinity
    for k in 0..<columns { largest = max(largest, Double(x[k])) }
    var sum = 0.0
    for k in 0..<columns { sum += exp(Double(x[k]) - largest) }
    return (largest, sum)
  }

  private static func checkedLabel(
    _ label: Int64, _ row: Int, _ columns: Int, _ place: String
  ) throws(KeelError) -> Int {
    guard label >= 0, label < columns else {
      throw KeelError(
        .value, at: "\(place), label \(row)", expected: "a class from 0 to \(columns - 1)",
        found: "\(label)")
    }
    return Int(label)
  }
}
