import KeelGraph
import KeelTensor

extension NodeEvaluation {
  /// The results of arithmetic with broadcasting, functions, reductions, PReLU and dropout.
  func arithmetic() throws(KeelError) -> [DoubleTensor] {
    switch node.primitive {
    case .arithmetic(let operation):
      return [BroadcastReference.combined(real(0), real(1)) { Self.value(operation, $0, $1) }]
    case .arithmeticGradient(let operand):
      let share = BroadcastReference.combined(real(1), real(2)) { Self.share(operand, $0, $1) }
      return [
        BroadcastReference.combined(real(0), share) { dy, share in
          share == Self.nothing ? 0 : dy * share
        }
      ]
    case .elementwise(let function):
      return [ElementwiseReference.applied(real(0), function)]
    case .reduction(let reduction): return [ReductionReference.value(real(0), reduction)]
    case .extremeGradient(let reduction):
      return [ReductionReference.extremeGradient(real(0), x: real(1), reduction)]
    case .expand(let extents, let divides):
      let shape = try ValueType(extents).shape(binding: symbols)
      return [BroadcastReference.expanded(real(0), to: shape, divides: divides)]
    case .parametricReLU:
      return [BroadcastReference.combined(real(0), real(1)) { $0 > 0 ? $0 : $1 * $0 }]
    case .parametricReLUGradient: return parametricReLUGradient()
    case .dropout(let dropout): return [dropped(dropout)]
    default: preconditionFailure("\(node.label): expected arithmetic, found \(node.primitive.name)")
    }
  }

  private static func value(_ operation: Arithmetic, _ a: Double, _ b: Double) -> Double {
    switch operation {
    case .add: a + b
    case .subtract: a - b
    case .multiply: a * b
    case .divide: a / b
    case .maximum: a.isNaN || a > b ? a : b
    case .minimum: a.isNaN || a < b ? a : b
    case .power: ElementwiseReference.power(a, b)
    }
  }

  /// Stands for a share of 0 that keeps no NaN of dy.
  private static let nothing = -Double.greatestFiniteMagnitude

  /// What of dy goes to the operand in question: first of a maximum or minimum, base, or exponent.
  private static func share(_ operand: ArithmeticGradient, _ a: Double, _ b: Double) -> Double {
    switch operand {
    case .maximum: a < b ? nothing : a == b ? 0.5 : 1
    case .minimum: a > b ? nothing : a == b ? 0.5 : 1
    case .base: b == 0 ? nothing : b * ElementwiseReference.power(a, b - 1)
    case .exponent:
      a == 0 && b >= 0
        ? nothing : ElementwiseReference.power(a, b) * ElementwiseReference.logarithm(a)
    }
  }

  private func parametricReLUGradient() -> [DoubleTensor] {
    let (dy, x, slope) = (real(0), real(1), real(2))
    let slopes = BroadcastReference.expanded(slope, to: x.shape, divides: false)
    var dx = DoubleTensor(zeros: x.shape)
    var dSlope = DoubleTensor(zeros: slope.shape)
    for i in 0..<x.count {
      if x[flat: i] > 0 {
        dx[flat: i] = dy[flat: i]
      } else {
        dx[flat: i] = slopes[flat: i] * dy[flat: i]
        dSlope[flat: i % slope.count] += x[flat: i] * dy[flat: i]
      }
    }
    return [dx, dSlope]
  }

  private func dropped(_ dropout: DropoutMask) -> DoubleTensor {
    guard case .int64(let seed) = operands[1] else {
      preconditionFailure("\(node.label): expected an integer seed, found reals")
    }
    let x = real(0)
    let key = dropout.key(seed: seed[flat: 0])
    let channels = x.shape.channelCount
    let sample = x.count / (x.shape.extents.first ?? 1)
    return DoubleTensor(uninitialized: x.shape) { y in
      for i in y.indices {
        let index = dropout.unit == .element ? i : i / sample * channels + i % channels
        let bits = Self.randomBits(UInt32(truncatingIfNeeded: index), key)
        y[i] = x[flat: i] * (bits < dropout.threshold ? 0 : Double(dropout.factor))
      }
    }
  }

  /// The random bits of an index: the two mixers, each after a word of the key.
  private static func randomBits(_ index: UInt32, _ key: (first: UInt32, second: UInt32)) -> UInt32
  {
    var h = index ^ key.first
    h = (h ^ (h >> 16)) &* 0x7FEB_352D
    h = (h ^ (h >> 15)) &* 0x846C_A68B
    h = (h ^ (h >> 16)) &+ key.second
    h = (h ^ (h >> 16)) &* 0x85EB_CA6B
    h = (h ^ (h >> 13)) &* 0xC2B2_AE35
    return h ^ (h >> 16)
  }
}
