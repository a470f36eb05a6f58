import KeelTensor

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

extension LossReference {
  /// The values of a loss along rows.
  static func rows(_ loss: Loss, _ operands: Operands) -> DoubleTensor {
    let shape = Shape(Array(operands.x.shape.extents.dropLast()))
    return DoubleTensor(uninitialized: shape) { out in
      for r in out.indices { out[r] = value(loss, operands, r) }
    }
  }

  private static func value(_ loss: Loss, _ operands: Operands, _ row: Int) -> Double {
    let z = self.row(operands.x, row)
    let l = logSoftmax(z)
    switch loss.kind {
    case .negativeLogLikelihood:
      guard let label = operands.labels![row] else { return 0 }
      return -weight(operands, label) * z[label]
    case .crossEntropy, .softCrossEntropy:
      guard let targets = targets(loss, operands, row) else { return 0 }
      // A class that has no share costs nothing by a label; a target of 0 is multiplied as it stands.
      return zip(targets, l).reduce(0) {
        $1.0 == 0 && loss.takesLabels ? $0 : $0 - $1.0 * $1.1
      }
    case .focal(let gamma, _):
      guard let label = operands.labels![row] else { return 0 }
      return -weight(operands, label) * pow(-expm1(l[label]), Double(gamma)) * l[label]
    case .entropy: return entropy(l)
    case .minimumEntropyConsensus:
      let other = logSoftmax(self.row(operands.second!, row))
      let k = consensus(l, other)
      return -(l[k] + other[k]) / 2
    default: preconditionFailure("\(loss.name) has no rows")
    }
  }

  /// The gradients of a loss along rows, from those of its values.
  static func rowGradients(_ loss: Loss, _ operands: Operands, _ g: (Int) -> Double)
    -> [DoubleTensor]
  {
    let first = fill(operands.x.shape) { row in
      gradient(loss, operands, row).map { $0 * g(row) }
    }
    guard loss.kind == .minimumEntropyConsensus else {
      // An ignored row has the gradient 0, also where there are none to divide by.
      guard let labels = operands.labels else { return [first] }
      let columns = operands.x.shape.channelCount
      return [
        fill(first.shape) { row in
          labels[row] == nil
            ? [Double](repeating: 0, count: columns) : self.row(first, row)
        }
      ]
    }
    let other = Operands(x: operands.second!, second: operands.x)
    return [
      first,
      fill(operands.x.shape) { row in gradient(loss, other, row).map { $0 * g(row) } },
    ]
  }

  private static func gradient(_ loss: Loss, _ operands: Operands, _ row: Int) -> [Double] {
    let z = self.row(operands.x, row)
    let l = logSoftmax(z)
    let p = l.map { exp($0) }
    switch loss.kind {
    case .negativeLogLikelihood:
      return z.indices.map { k in
        k == operands.labels![row] ? -weight(operands, k) : 0
      }
    case .crossEntropy, .softCrossEntropy:
      guard let targets = targets(loss, operands, row) else { return z.map { _ in 0 } }
      let sum = targets.reduce(0, +)
      return zip(p, targets).map { sum * $0 - $1 }
    case .focal(let gamma, _):
      guard let label = operands.labels![row] else { return z.map { _ in 0 } }
      let (u, gamma) = (-expm1(l[label]), Double(gamma))
      // Where P is 0 or 1, its logarithm tends to 0 faster than what it is multiplied by grows.
      let isCorner = p[label] == 0 || u == 0 || gamma == 0
      let slope = isCorner ? 0 : gamma * p[label] * pow(u, gamma - 1) * l[label]
      let factor = weight(operands, label) * (pow(u, gamma) - slope)
      return z.indices.map { factor * (p[$0] - ($0 == label ? 1 : 0)) }
    case .entropy:
      let entropy = entropy(l)
      return zip(p, l).map { $0 == 0 ? 0 : -$0 * ($1 + entropy) }
    case .minimumEntropyConsensus:
      let k = consensus(l, logSoftmax(self.row(operands.second!, row)))
      return z.indices.map { (p[$0] - ($0 == k ? 1 : 0)) / 2 }
    default: preconditionFailure("\(loss.name) has no rows")
    }
  }

  // MARK: Parts

  private static func weight(_ operands: Operands, _ label: Int) -> Double {
    operands.third?[flat: label] ?? 1
  }

  /// t[k] = w[k]·((1 − ε)·q[k] + ε/K), where a label's q is one-hot; nil for an ignored label.
  private static func targets(_ loss: Loss, _ operands: Operands, _ row: Int) -> [Double]? {
    let classes = operands.x.shape.channelCount
    let smoothing = Double(loss.smoothing)
    let q: [Double]
    if let labels = operands.labels {
      guard let label = labels[row] else { return nil }
      q = (0..<classes).map { $0 == label ? 1 : 0 }
    } else {
      q = self.row(operands.second!, row)
    }
    return q.indices.map {
      weight(operands, $0) * ((1 - smoothing) * q[$0] + smoothing / Double(classes))
    }
  }

  /// −Σ p·log p, 0·log 0 = 0, from log p.
  private static func entropy(_ l: [Double]) -> Double {
    -l.reduce(0) { exp($1) == 0 ? $0 : $0 + exp($1) * $1 }
  }

  /// The first class with the largest log p + log p′.
  private static func consensus(_ l: [Double], _ other: [Double]) -> Int {
    var best = 0
    for k in l.indices where l[k] + other[k] > l[best] + other[best] { best = k }
    return best
  }
}
