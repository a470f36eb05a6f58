extension Normalization {
  /// What statistics do to the elements of their cell: z = (x − c)/s, with c the mean or 0, and s a root
  /// of the second moment with an ε, or 1.
  public struct Operation: Hashable, Sendable {
    /// What elements are divided by, before ε. With n elements, mean m and v = Σ(x − m)²/n:
    public enum Divisor: Hashable, Sendable {
      /// Nothing: s = 1.
      case none
      /// r = √v, or √(v·n/(n − 1)) where unbiased.
      case deviation(unbiased: Bool)
      /// r = √(Σ x²/n).
      case rootMeanSquare
      /// r = √(Σ x²).
      case norm
    }

    /// Where ε stands.
    public enum EpsilonPlacement: Hashable, Sendable {
      /// s = √(r² + ε).
      case insideRoot
      /// s = r + ε.
      case besideRoot
      /// s = max(r, ε).
      case floor
    }

    /// Whether the mean is subtracted.
    public let centers: Bool
    /// What elements are divided by.
    public let divisor: Divisor
    /// ε, 0 where nothing is divided by.
    public let epsilon: Float
    /// Where ε stands.
    public let placement: EpsilonPlacement

    /// Makes an operation; `Normalization` refuses one that does nothing, an ε that is negative or not
    /// finite, and a root mean square or norm of centred elements (which is their deviation).
    public init(
      centers: Bool, divisor: Divisor, epsilon: Float,
      placement: EpsilonPlacement = .insideRoot
    ) {
      self.centers = centers
      self.divisor = divisor
      self.epsilon = epsilon
      self.placement = placement
    }

    /// z = (x − m)/√(v + ε).
    public static func standardize(epsilon: Float) -> Operation {
      Operation(centers: true, divisor: .deviation(unbiased: false), epsilon: epsilon)
    }
    /// z = x − m.
    public static let center = Operation(centers: true, divisor: .none, epsilon: 0)
    /// z = x/√(Σ x²/n + ε).
    public static func rootMeanSquare(epsilon: Float) -> Operation {
      Operation(centers: false, divisor: .rootMeanSquare, epsilon: epsilon)
    }
    /// z = x/√(Σ x² + ε), or with ε elsewhere.
    public static func norm(
      epsilon: Float, placement: EpsilonPlacement = .insideRoot
    ) -> Operation {
      Operation(centers: false, divisor: .norm, epsilon: epsilon, placement: placement)
    }

    /// Checks the choices.
    /// - Throws: `KeelError` of kind `argument` that says why.
    public func validate(at place: String) throws(KeelError) {
      guard epsilon >= 0, epsilon.isFinite else {
        throw KeelError(
          .argument, at: place, expected: "a finite epsilon of at least 0", found: "\(epsilon)")
      }
      switch (centers, divisor) {
      case (false, .none):
        throw KeelError(
          .argument, at: place, expected: "an operation that centers or divides", found: "neither")
      case (true, .rootMeanSquare), (true, .norm):
        throw KeelError(
          .argument, at: place, expected: "the deviation as the divisor of centred elements",
          found: "\(divisor)")
      default: break
      }
    }

    /// Whether one value in a cell leaves nothing: its deviation from its own mean is 0.
    public var needsSeveralValues: Bool {
      if case .deviation = divisor { true } else { centers }
    }
  }
}

extension Normalization.Operation: CustomStringConvertible {
  /// For example `(x − mean) / √(variance + 1e-05)`.
  public var description: String {
    let x = centers ? "(x − mean)" : "x"
    let square: String
    switch divisor {
    case .none: return x
    case .deviation(unbiased: false): square = "variance"
    case .deviation(unbiased: true): square = "unbiased variance"
    case .rootMeanSquare: square = "mean x²"
    case .norm: square = "Σ x²"
    }
    switch placement {
    case .insideRoot: return "\(x) / √(\(square) + \(epsilon))"
    case .besideRoot: return "\(x) / (√(\(square)) + \(epsilon))"
    case .floor: return "\(x) / max(√(\(square)), \(epsilon))"
    }
  }
}
