/// f(λ) = λ^(−1/2) of whitening, or λ^(1/2) of coloring, with a floor and with small eigenvalues left out, and
/// what the gradient of a matrix of them needs.
///
/// The textbook gradient of U·f(Λ)·Uᵀ goes through U, with 1/(λᵢ − λⱼ), which is infinite where eigenvalues are
/// equal. The difference quotients of f say the same in exact arithmetic and are finite:
///
///     (λᵢ^(−1/2) − λⱼ^(−1/2))/(λᵢ − λⱼ) = −1/(√λᵢ·√λⱼ·(√λᵢ + √λⱼ))
///     (λᵢ^(1/2) − λⱼ^(1/2))/(λᵢ − λⱼ) = 1/(√λᵢ + √λⱼ)
extension Whitening {
  /// What an eigenvalue is taken for: itself or the floor; nil where its axis is left out.
  package func effective(_ value: Double, largest: Double) -> Double? {
    if truncation > 0, value < Double(truncation) * largest { return nil }
    // Rounding makes the zeros of a covariance slightly negative.
    return max(value, Double(eigenvalueFloor), direction == .coloring ? 0 : -.infinity)
  }

  /// f(λ); 0 where the axis is left out. Not finite where whitening divides by a root of 0 or less.
  package func root(_ value: Double, largest: Double) -> Double {
    guard let value = effective(value, largest: largest) else { return 0 }
    return direction == .whitening ? 1 / value.squareRoot() : value.squareRoot()
  }

  /// (f(λ) − f(μ))/(λ − μ), and f′ where they are equal; 0 where both have the floor's value or none.
  package func quotient(_ a: Double, _ b: Double, largest: Double) -> Double {
    let (high, low) = (max(a, b), min(a, b))
    guard let top = effective(high, largest: largest) else { return 0 }
    guard let bottom = effective(low, largest: largest) else {
      return root(high, largest: largest) / (high - low)
    }
    guard top == high else { return 0 }
    let (p, q) = (top.squareRoot(), bottom.squareRoot())
    let smooth = direction == .whitening ? -1 / (p * q * (p + q)) : 1 / (p + q)
    return bottom == low ? smooth : smooth * ((top - bottom) / (high - low))
  }

  /// 1/(μ − λ) of the textbook gradient of eigenvectors: 0, as if the gradient between two axes were not
  /// there, where the eigenvalues are equal but for rounding.
  package static func inverseGap(_ a: Double, _ b: Double) -> Double {
    abs(b - a) <= 1e-12 * max(abs(a), abs(b)) ? 0 : 1 / (b - a)
  }

  /// Whether the gradient starts from a second result: eigenvectors and eigenvalues, or the Cholesky factor.
  public var hasFactor: Bool {
    if case .newtonSchulz = method { false } else { true }
  }
}
