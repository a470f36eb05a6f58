internal import CKeelLoops

/// One step of each optimizer over flat weights, in one pass and in place.
///
/// `slots` is what the optimizer remembers of each weight: one array after another, each of the weights'
/// count. With `decay` d the gradient is g + d·w throughout.
/// - Precondition: the gradient has the weights' count, the slots so many times it.
package enum OptimizerKernel {
  /// v ← momentum·v + g, w ← w − rate·(nesterov ? g + momentum·v : v). Slots: v.
  package static func sgd(
    _ weight: inout MutableSpan<Float>, slots: inout MutableSpan<Float>, gradient: Span<Float>,
    rate: Float, momentum: Float, decay: Float, nesterov: Bool
  ) {
    withPointers(&weight, &slots, gradient, slotCount: 1) { w, slots, g, count in
      loops.sgd(w, slots, g, count, rate, momentum, decay, nesterov ? 1 : 0)
    }
  }

  /// m ← beta1·m + (1 − beta1)·g, v ← beta2·v + (1 − beta2)·g²,
  /// w ← w − rate·m/(root·√v + epsilon) − shrink·w. Slots: m, v.
  package static func adam(
    _ weight: inout MutableSpan<Float>, slots: inout MutableSpan<Float>, gradient: Span<Float>,
    rate: Float, beta1: Float, beta2: Float, root: Float, epsilon: Float, decay: Float,
    shrink: Float
  ) {
    let step = KeelAdam(
      rate: rate, beta1: beta1, beta2: beta2, root: root, epsilon: epsilon, decay: decay,
      shrink: shrink)
    withPointers(&weight, &slots, gradient, slotCount: 2) { w, slots, g, count in
      withUnsafePointer(to: step) { loops.adam(w, slots, slots + count, g, count, $0) }
    }
  }

  /// s ← alpha·s + (1 − alpha)·g², d = g/(√s + epsilon), w ← w − rate·d.
  ///
  /// Centered, s is the variance: s ← alpha·(s + (1 − alpha)·(g − a)²), a ← a + (1 − alpha)·(g − a). With a
  /// momentum that is not nil, u ← momentum·u + d and w ← w − rate·u. Slots: s, then a where centered,
  /// then u where there is momentum.
  package static func rmsProp(
    _ weight: inout MutableSpan<Float>, slots: inout MutableSpan<Float>, gradient: Span<Float>,
    rate: Float, alpha: Float, epsilon: Float, centered: Bool, momentum: Float?, decay: Float
  ) {
    let slotCount = 1 + (centered ? 1 : 0) + (momentum == nil ? 0 : 1)
    withPointers(&weight, &slots, gradient, slotCount: slotCount) { w, slots, g, count in
      loops.rmsProp(
        w, slots, centered ? slots + count : nil,
        momentum == nil ? nil : slots + (slotCount - 1) * count, g, count, rate, alpha, epsilon,
        momentum ?? 0, decay)
    }
  }

  private static func withPointers(
    _ weight: inout MutableSpan<Float>, _ slots: inout MutableSpan<Float>, _ gradient: Span<Float>,
    slotCount: Int,
    _ body: (
      UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>, UnsafePointer<Float>, Int
    ) -> Void
  ) {
    let count = weight.count
    precondition(
      gradient.count == count && slots.count == slotCount * count,
      "optimizer: expected \(count) gradients and \(slotCount) times \(count) slots, found \(gradient.count) and \(slots.count)"
    )
    guard count > 0 else { return }
    weight.withUnsafeMutableBufferPointer { weight in
      slots.withUnsafeMutableBufferPointer { slots in
        gradient.withUnsafeBufferPointer { gradient in
          body(weight.baseAddress!, slots.baseAddress!, gradient.baseAddress!, count)
        }
      }
    }
  }
}
