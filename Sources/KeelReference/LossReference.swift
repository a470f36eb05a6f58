import KeelTensor

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Softmax, and losses as their definitions write them: a value for each element or row, then a reduction.
internal enum LossReference {
  /// p[n, k] = exp(z[n, k]) / Σ_l exp(z[n, l]).
  static func softmax(_ z: DoubleTensor) -> DoubleTensor {
    alongRows(z) { logSoftmax($0).map { exp($0) } }
  }

  /// ℓ[n, k] = z[n, k] − log Σ_l exp(z[n, l]).
  static func logSoftmax(_ z: DoubleTensor) -> DoubleTensor { alongRows(z) { logSoftmax($0) } }

  /// dz = p·(g − Σ g·p).
  static func softmaxGradient(_ g: DoubleTensor, _ p: DoubleTensor) -> DoubleTensor {
    alongRows(g, p) { g, p in
      let sum = zip(g, p).reduce(0) { $0 + $1.0 * $1.1 }
      return zip(g, p).map { $1 * ($0 - sum) }
    }
  }

  /// dz = g − exp(ℓ)·Σ g.
  static func logSoftmaxGradient(_ g: DoubleTensor, _ l: DoubleTensor) -> DoubleTensor {
    alongRows(g, l) { g, l in
      let sum = g.reduce(0, +)
      return zip(g, l).map { $0 - exp($1) * sum }
    }
  }

  /// The logarithms of softmax of one row, without overflow.
  static func logSoftmax(_ z: [Double]) -> [Double] {
    var maximum = -Double.infinity
    for value in z where value > maximum { maximum = value }
    let logSum = log(z.reduce(0) { $0 + exp($1 - maximum) })
    return z.map { ($0 - maximum) - logSum }
  }

  /// The operands of a loss; labels are nil where they are ignored.
  struct Operands {
    let x: DoubleTensor
    var second: DoubleTensor?
    var labels: [Int?]?
    var third: DoubleTensor?
  }

  /// The loss.
  static func value(_ loss: Loss, _ operands: Operands) -> DoubleTensor {
    let values = loss.isAlongRows ? rows(loss, operands) : elements(loss, operands)
    guard loss.reduction != .none else { return values }
    let sum = values.elements.reduce(0, +)
    return DoubleTensor(repeating: sum / divisor(loss, operands), shape: [])
  }

  /// What the sum of the values is divided by.
  static func divisor(_ loss: Loss, _ operands: Operands) -> Double {
    switch loss.reduction {
    case .none, .sum: return 1
    case .batchMean: return Double(operands.x.shape[0])
    case .mean:
      guard loss.isAlongRows else { return Double(operands.x.count) }
      guard let labels = operands.labels else { return Double(operands.x.shape.rowCount) }
      return labels.compactMap { $0 }.reduce(0) { $0 + (operands.third?[flat: $1] ?? 1) }
    }
  }

  /// The gradients: one, or two for kinds with two sides.
  static func gradient(_ loss: Loss, _ operands: Operands, _ dLoss: DoubleTensor) -> [DoubleTensor]
  {
    let divisor = divisor(loss, operands)
    let isScalar = loss.reduction != .none
    func g(_ index: Int) -> Double { isScalar ? dLoss[flat: 0] / divisor : dLoss[flat: index] }
    return loss.isAlongRows
      ? rowGradients(loss, operands, g) : elementGradients(loss, operands, g)
  }

  // MARK: Rows

  static func row(_ x: DoubleTensor, _ row: Int) -> [Double] {
    let columns = x.shape.channelCount
    return (0..<columns).map { x[flat: row * columns + $0] }
  }

  private static func alongRows(_ x: DoubleTensor, _ f: ([Double]) -> [Double]) -> DoubleTensor {
    fill(x.shape) { f(row(x, $0)) }
  }

  private static func alongRows(
    _ x: DoubleTensor, _ y: DoubleTensor, _ f: ([Double], [Double]) -> [Double]
  ) -> DoubleTensor {
    fill(x.shape) { f(row(x, $0), row(y, $0)) }
  }

  /// A tensor from its rows.
  static func fill(_ shape: Shape, _ row: (Int) -> [Double]) -> DoubleTensor {
    let columns = shape.channelCount
    return DoubleTensor(uninitialized: shape) { out in
      for r in 0..<shape.rowCount {
        for (c, value) in row(r).enumerated() { out[r * columns + c] = value }
      }
    }
  }
}
