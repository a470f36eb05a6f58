public import KeelTensor

/// What keeps gradients from growing too large, before an optimizer's step.
public struct GradientClipping: Hashable, Sendable {
  internal enum Kind: Hashable {
    case value(Double)
    case norm(Double)
  }
  internal let kind: Kind

  /// Clamps every component to ±limit.
  /// - Throws: `KeelError` of kind `argument` for a limit that is not above 0, or not finite, as a Float.
  public static func value(_ limit: Double) throws(KeelError) -> GradientClipping {
    GradientClipping(kind: .value(try checked(limit)))
  }

  /// Multiplies all gradients by min(1, limit/(total + 1e-6)), where total is the Euclidean norm of all
  /// gradients together, accumulated in Double in an order of its own: bitwise the same for any number of
  /// threads and at any vector level. (PyTorch's `clip_grad_norm_`; Pascanu, Mikolov and Bengio 2013,
  /// arXiv 1211.5063.)
  ///
  /// - Throws: `KeelError` of kind `argument` for a limit that is not above 0, or not finite, as a Float.
  public static func norm(_ limit: Double) throws(KeelError) -> GradientClipping {
    GradientClipping(kind: .norm(try checked(limit)))
  }

  /// What all gradients are multiplied by, for their norm.
  internal static func factor(limit: Double, total: Double) -> Double {
    min(1, limit / (total + 1e-6))
  }

  private static func checked(_ limit: Double) throws(KeelError) -> Double {
    guard Float(limit) > 0, Float(limit).isFinite else {
      throw KeelError(
        .argument, at: "GradientClipping", expected: "a finite limit above 0", found: "\(limit)")
    }
    return limit
  }
}
