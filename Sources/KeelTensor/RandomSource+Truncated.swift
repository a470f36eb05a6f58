extension RandomSource {
  /// A normal number of mean 0 and variance 1 among those from low to high.
  ///
  /// By rejection: of normal numbers where the bounds hold much of the distribution, otherwise of uniform
  /// ones between them, of which few are taken where they are far apart and far from 0.
  /// - Precondition: both are finite and low < high.
  public mutating func normal(from low: Double, to high: Double) -> Double {
    precondition(
      low < high && (high - low).isFinite, "expected finite low < high, found \(low) and \(high)")
    // A deviation to one side at least: a sixth of the distribution or more.
    if low <= 0, high >= 0, high - low >= 1 {
      while true {
        let x = normal()
        if x >= low, x <= high { return x }
      }
    }
    let nearest = max(low, min(high, 0))
    while true {
      let x = low + (high - low) * uniform()
      if logarithm(1 - uniform()) <= (nearest - x) * (nearest + x) / 2 { return x }
    }
  }
}
