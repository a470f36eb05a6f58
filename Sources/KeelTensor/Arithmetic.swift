/// Arithmetic of two operands, element by element, as IEEE 754 has it.
///
/// x/0 is ±∞ or NaN; maximum and minimum of a NaN and anything are NaN; a power is the C library's.
public enum Arithmetic: String, Hashable, Sendable, CaseIterable {
  /// a + b.
  case add
  /// a − b.
  case subtract
  /// a·b.
  case multiply
  /// a/b.
  case divide
  /// The larger of a and b.
  case maximum
  /// The smaller of a and b.
  case minimum
  /// aᵇ.
  case power
}

/// The gradients of arithmetic that products and quotients cannot express: at a tie, and where a product
/// would be 0·∞. What they make is what PyTorch makes.
public enum ArithmeticGradient: String, Hashable, Sendable, CaseIterable {
  /// Of max(a, b) by a: dy where a > b, dy/2 where a = b, 0 where a < b whatever dy is, and dy next to NaN.
  case maximum
  /// Of min(a, b) by a, likewise.
  case minimum
  /// Of aᵇ by a: dy·b·aᵇ⁻¹, and 0 where b = 0.
  case base
  /// Of aᵇ by b: dy·aᵇ·log a, and 0 where a = 0 and b ≥ 0.
  case exponent
}

/// A function of one operand, element by element; NaN passes through all but the sign.
public enum ElementwiseFunction: String, Hashable, Sendable, CaseIterable {
  /// −x.
  case negate
  /// |x|.
  case absolute
  /// e^x, within 0.98 units of the last place.
  case exponential
  /// log x, within 0.9 units; −∞ at 0, NaN below.
  case logarithm
  /// √x, rounded correctly; NaN below 0.
  case squareRoot
  /// 1/x.
  case reciprocal
  /// x².
  case square
  /// −1, 0 or 1; 0 for NaN, as in PyTorch.
  case sign
  /// erf x = 2/√π·∫₀ˣ e^(−t²) dt, within 1.6 units.
  case errorFunction

  /// The function's name in the field's terms.
  public var name: String {
    switch self {
    case .squareRoot: "square root"
    case .errorFunction: "error function"
    default: rawValue
    }
  }
}
