/// A matrix made from the covariance of a block of channels: what whitens it, or what gives it back.
///
/// With S the d×d co-moments over n rows,
///
///     Σ = (1 − α)·S/n + α·I + ε′·I,    ε′ = ε, or ε·tr(S/n)/d where it is relative
///
/// | method | whitening W, with W·Σ·Wᵀ = I | coloring M, with M·Mᵀ = Σ |
/// |---|---|---|
/// | `.pca` | Λ^(−1/2)·Uᵀ | U·Λ^(1/2) |
/// | `.zca` | U·Λ^(−1/2)·Uᵀ | U·Λ^(1/2)·Uᵀ |
/// | `.cholesky` | L⁻¹ | L |
/// | `.newtonSchulz` | P_T/√tr Σ, nearly Σ^(−1/2) | |
///
/// with Σ = U·Λ·Uᵀ, eigenvalues rising and the largest component of each eigenvector positive, and Σ = L·Lᵀ.
/// PCA and ZCA take eigenvalues below a floor for the floor, and leave out those below a share of the largest.
///
/// The methods are those of decorrelated batch norm (Huang et al. 2018, 1804.08450), of whitening by Cholesky
/// (Siarohin et al. 2019, 1806.00420) and of IterNorm (Huang et al. 2019, 1904.03441).
public struct Whitening: Hashable, Sendable {
  /// How the root of the covariance is taken.
  public enum Method: Hashable, Sendable {
    /// By eigenvalues, in the eigenvectors' axes. Axes change places and signs from batch to batch.
    case pca
    /// By eigenvalues, in the channels' own axes: the whitened data nearest to the data.
    case zca
    /// By triangles: channel i takes from channels up to i alone, so that their order counts.
    case cholesky
    /// By T steps of Newton and Schulz on Σ/tr Σ from P₀ = I: partial whitening for few. Plain,
    /// P ← (3·P − P³·Σ/tr Σ)/2, which in floating point grows without bound from about ten steps on and is
    /// refused beyond 7; coupled (Y ← Y·M, Z ← M·Z, M = (3·I − Z·Y)/2), the same values and stable.
    case newtonSchulz(steps: Int, coupled: Bool)
  }

  /// Which way the matrix goes.
  public enum Direction: String, Hashable, Sendable {
    /// From Σ to I.
    case whitening
    /// From I to Σ.
    case coloring
  }

  /// How the root of the covariance is taken.
  public let method: Method
  /// Which way the matrix goes.
  public let direction: Direction
  /// ε.
  public let epsilon: Float
  /// Whether ε is a share of the mean eigenvalue.
  public let epsilonIsRelative: Bool
  /// α: how much of Σ gives way to I.
  public let shrinkage: Float
  /// What smaller eigenvalues are taken for; 0 for none.
  public let eigenvalueFloor: Float
  /// The share of the largest eigenvalue below which axes are left out; 0 for none.
  public let truncation: Float
  /// How often a Cholesky factorization that fails is tried again, each time with a shrinkage ten times as
  /// large (from 10⁻⁶ at least). 0: it fails.
  public let retries: Int

  /// The most steps of the plain iteration.
  public static let mostPlainSteps = 7

  /// Makes a matrix's rule.
  /// - Throws: `KeelError` of kind `argument` for numbers out of their range, a plain iteration of more than 7
  ///   steps, coloring by Newton and Schulz, floors and truncation without eigenvalues, and retries without
  ///   Cholesky.
  public init(
    _ method: Method, _ direction: Direction = .whitening, epsilon: Float = 1e-5,
    epsilonIsRelative: Bool = false, shrinkage: Float = 0, eigenvalueFloor: Float = 0,
    truncation: Float = 0, retries: Int = 0, place: String = "whitening"
  ) throws(KeelError) {
    self.method = method
    self.direction = direction
    self.epsilon = epsilon
    self.epsilonIsRelative = epsilonIsRelative
    self.shrinkage = shrinkage
    self.eigenvalueFloor = eigenvalueFloor
    self.truncation = truncation
    self.retries = retries
    try validate(at: place)
  }

  /// Whether the matrix is made from eigenvalues.
  public var usesEigenvalues: Bool { method == .pca || method == .zca }

  /// Whether a covariance without full rank has a matrix.
  public var toleratesDeficiency: Bool {
    epsilon > 0 || shrinkage > 0 || eigenvalueFloor > 0 || truncation > 0
      || direction == .coloring && usesEigenvalues || !usesEigenvalues && method != .cholesky
  }

  /// The method's name in the field's terms.
  public var name: String {
    let method =
      switch method {
      case .pca: "PCA"
      case .zca: "ZCA"
      case .cholesky: "Cholesky"
      case .newtonSchulz(_, let coupled): coupled ? "coupled Newton–Schulz" : "Newton–Schulz"
      }
    return "\(method) \(direction.rawValue) matrix"
  }

  private func validate(at place: String) throws(KeelError) {
    func check(_ condition: Bool, _ expected: String, _ found: String) throws(KeelError) {
      guard condition else {
        throw KeelError(.argument, at: place, expected: expected, found: found)
      }
    }
    try check(
      epsilon >= 0 && epsilon.isFinite, "a finite ε of at least 0", "\(epsilon)")
    try check(shrinkage >= 0 && shrinkage <= 1, "a shrinkage from 0 to 1", "\(shrinkage)")
    try check(
      eigenvalueFloor >= 0 && eigenvalueFloor.isFinite, "a finite eigenvalue floor of at least 0",
      "\(eigenvalueFloor)")
    try check(truncation >= 0 && truncation < 1, "a truncation from 0 to below 1", "\(truncation)")
    try check(
      eigenvalueFloor == 0 && truncation == 0 || usesEigenvalues,
      "PCA or ZCA for an eigenvalue floor or truncation", name)
    try check(retries >= 0, "at least 0 retries", "\(retries)")
    try check(retries == 0 || method == .cholesky, "Cholesky for retries", name)
    guard case .newtonSchulz(let steps, let coupled) = method else { return }
    try check(direction == .whitening, "PCA, ZCA or Cholesky for coloring", "Newton–Schulz")
    try check(steps >= 1, "at least 1 Newton–Schulz step", "\(steps)")
    try check(
      coupled || steps <= Self.mostPlainSteps,
      "at most \(Self.mostPlainSteps) steps of the plain Newton–Schulz iteration, whose rounding errors grow "
        + "beyond (take the coupled form)", "\(steps)")
  }
}
