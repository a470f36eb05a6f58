import KeelTensor

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

extension LossReference {
  /// The values of a pointwise loss.
  static func elements(_ loss: Loss, _ operands: Operands) -> DoubleTensor {
    DoubleTensor(uninitialized: operands.x.shape) { out in
      for i in out.indices {
        let (x, y) = (operands.x[flat: i], operands.second![flat: i])
        out[i] = element(loss.kind, x, y, third(loss, operands, i))
      }
    }
  }

  /// The gradients of a pointwise loss, from those of its values.
  static func elementGradients(_ loss: Loss, _ operands: Operands, _ g: (Int) -> Double)
    -> [DoubleTensor]
  {
    let dx = DoubleTensor(uninitialized: operands.x.shape) { out in
      for i in out.indices {
        let (x, y) = (operands.x[flat: i], operands.second![flat: i])
        out[i] = g(i) * derivative(loss.kind, x, y, third(loss, operands, i))
      }
    }
    guard loss.gradientCount == 2 else { return [dx] }
    let other = DoubleTensor(uninitialized: dx.shape) { out in
      for i in out.indices { out[i] = -dx[flat: i] }
    }
    return [dx, other]
  }

  /// The third operand at an element: weights run along the last axis, or are one for all.
  private static func third(_ loss: Loss, _ operands: Operands, _ index: Int) -> Double {
    guard let third = operands.third else { return 1 }
    return loss.hasWeights ? third[flat: index % third.count] : third[flat: index]
  }

  /// log(1 + e^z).
  private static func softplus(_ z: Double) -> Double { max(z, 0) + log1p(exp(-abs(z))) }

  private static func sigmoid(_ z: Double) -> Double {
    z < 0 ? exp(z) / (1 + exp(z)) : 1 / (1 + exp(-z))
  }

  private static func element(_ kind: Loss.Kind, _ x: Double, _ y: Double, _ w: Double) -> Double {
    let e = x - y
    switch kind {
    case .squaredError: return e * e
    case .absoluteError: return abs(e)
    case .smoothL1(let beta):
      let beta = Double(beta)
      return abs(e) < beta ? e * e / (2 * beta) : abs(e) - beta / 2
    case .huber(let delta):
      let delta = Double(delta)
      return abs(e) <= delta ? e * e / 2 : delta * (abs(e) - delta / 2)
    case .logistic: return softplus(-y * x)
    case .binaryCrossEntropy: return w * y * softplus(-x) + (1 - y) * softplus(x)
    case .binaryFocal(let gamma, let alpha):
      let isPositive = y > 0.5
      let p = isPositive ? sigmoid(x) : sigmoid(-x)
      let weight = alpha.map { isPositive ? Double($0) : 1 - Double($0) } ?? 1
      let other = isPositive ? sigmoid(-x) : sigmoid(x)
      let logP = p > 0.5 ? log1p(-other) : -softplus(isPositive ? -x : x)
      return -weight * pow(other, Double(gamma)) * logP
    case .klDivergence: return y == 0 ? 0 : y * (log(y) - x)
    case .marginRanking(let margin):
      let v = -w * e + Double(margin)
      return v < 0 ? 0 : v
    default: preconditionFailure("\(kind) is no pointwise loss")
    }
  }

  private static func derivative(_ kind: Loss.Kind, _ x: Double, _ y: Double, _ w: Double)
    -> Double
  {
    let e = x - y
    let sign = e > 0 ? 1.0 : e < 0 ? -1 : e
    switch kind {
    case .squaredError: return 2 * e
    case .absoluteError: return sign
    case .smoothL1(let beta): return abs(e) < Double(beta) ? e / Double(beta) : sign
    case .huber(let delta): return abs(e) <= Double(delta) ? e : Double(delta) * sign
    case .logistic: return -y * sigmoid(-y * x)
    case .binaryCrossEntropy: return (1 - y) * sigmoid(x) - w * y * sigmoid(-x)
    case .binaryFocal(let gamma, let alpha):
      let side = y > 0.5 ? 1.0 : -1
      let (p, gamma) = (sigmoid(side * x), Double(gamma))
      let weight = alpha.map { side > 0 ? Double($0) : 1 - Double($0) } ?? 1
      let other = sigmoid(-side * x)
      let inner = gamma * p * -softplus(-side * x) - other
      return weight * side * pow(other, gamma) * inner
    case .klDivergence: return -y
    case .marginRanking(let margin): return -w * e + Double(margin) < 0 ? 0 : -w
    default: preconditionFailure("\(kind) is no pointwise loss")
    }
  }
}
