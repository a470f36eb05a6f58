internal import CKeelLoops

/// One step of stochastic gradient descent over flat parameters, in one pass.
///
/// g ← g + decay·w; v ← momentum·v + g; w ← w − rate·(nesterov ? g + momentum·v : v).
package enum SGDKernel {
  package static func step(
    weights: UnsafeMutablePointer<Float>, velocity: UnsafeMutablePointer<Float>,
    gradient: UnsafePointer<Float>, count: Int, rate: Float, momentum: Float, decay: Float,
    nesterov: Bool
  ) {
    loops.sgd(weights, velocity, gradient, count, rate, momentum, decay, nesterov ? 1 : 0)
  }
}
