internal import CKeelLoops
internal import KeelTensor

extension Arithmetic {
  /// The operation as leaf loops take it.
  internal var leaf: Int32 {
    switch self {
    case .add: Int32(KEEL_ADD)
    case .subtract: Int32(KEEL_SUBTRACT)
    case .multiply: Int32(KEEL_MULTIPLY)
    case .divide: Int32(KEEL_DIVIDE)
    case .maximum: Int32(KEEL_LARGER_OF)
    case .minimum: Int32(KEEL_SMALLER_OF)
    case .power: Int32(KEEL_POWER)
    }
  }

  /// Operations per element, roughly, to tell whether a second thread is worth waking.
  internal var workPerElement: Int { self == .power ? 16 : 1 }
}

extension ArithmeticGradient {
  internal var leaf: Int32 {
    switch self {
    case .maximum: Int32(KEEL_LARGER_OF)
    case .minimum: Int32(KEEL_SMALLER_OF)
    case .base: Int32(KEEL_BASE)
    case .exponent: Int32(KEEL_EXPONENT)
    }
  }

  internal var workPerElement: Int { self == .base || self == .exponent ? 16 : 2 }
}

extension ElementwiseFunction {
  /// The function as leaf loops take it.
  internal var leaf: Int32 {
    switch self {
    case .negate: Int32(KEEL_NEGATE)
    case .absolute: Int32(KEEL_ABSOLUTE)
    case .exponential: Int32(KEEL_EXPONENTIAL)
    case .logarithm: Int32(KEEL_LOGARITHM)
    case .squareRoot: Int32(KEEL_SQUARE_ROOT)
    case .reciprocal: Int32(KEEL_RECIPROCAL)
    case .square: Int32(KEEL_SQUARE)
    case .sign: Int32(KEEL_SIGN)
    case .errorFunction: Int32(KEEL_ERROR_FUNCTION)
    }
  }

  internal var workPerElement: Int {
    switch self {
    case .exponential, .logarithm, .errorFunction: 8
    default: 1
    }
  }
}

extension Reduction.Kind {
  /// What is gathered before the result is finished.
  internal var leaf: Int32 {
    switch self {
    case .sum, .mean: Int32(KEEL_SUM)
    case .maximum: Int32(KEEL_LARGEST)
    case .minimum: Int32(KEEL_SMALLEST)
    case .absoluteSum: Int32(KEEL_ABSOLUTE_SUM)
    case .euclideanNorm: Int32(KEEL_SQUARE_SUM)
    }
  }
}
