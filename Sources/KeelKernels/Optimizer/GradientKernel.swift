internal import CKeelLoops

/// What is done to gradients in place, before an optimizer's step.
package enum GradientKernel {
  /// g ← min(max(g, −limit), limit); NaN stays NaN.
  package static func clip(_ gradient: inout MutableSpan<Float>, limit: Float) {
    let count = gradient.count
    gradient.withUnsafeMutableBufferPointer {
      if let base = $0.baseAddress { loops.clip(base, count, limit) }
    }
  }

  /// g ← factor·g.
  package static func scale(_ gradient: inout MutableSpan<Float>, by factor: Float) {
    let count = gradient.count
    gradient.withUnsafeMutableBufferPointer {
      if let base = $0.baseAddress { loops.scale(base, base, factor, count) }
    }
  }

  /// Σ g², accumulated in Double; the same bits at every vector level.
  package static func squareSum(_ gradient: Span<Float>) -> Double {
    let count = gradient.count
    return gradient.withUnsafeBufferPointer {
      if let base = $0.baseAddress { loops.squareSum(base, count) } else { 0 }
    }
  }
}
