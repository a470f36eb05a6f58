package import KeelTensor

/// Where the operands of a loss are.
package struct LossOperands {
  /// Logits, log-probabilities or values.
  package let prediction: UnsafePointer<Float>
  /// The second Float operand: targets, signs, the other side.
  package let target: UnsafePointer<Float>?
  /// The labels.
  package let labels: UnsafePointer<Int64>?
  /// The third operand: weights, or signs.
  package let third: UnsafePointer<Float>?

  package init(
    prediction: UnsafePointer<Float>, target: UnsafePointer<Float>?,
    labels: UnsafePointer<Int64>?, third: UnsafePointer<Float>?
  ) {
    self.prediction = prediction
    self.target = target
    self.labels = labels
    self.third = third
  }
}

/// A loss of fixed shapes and its gradient.
///
/// Values are Float, their sum runs in Double: within a task, then over tasks in order, so it does not
/// depend on the number of threads. Nothing of the size of the logits is kept between loss and gradient;
/// both begin with log Σ exp of a block of rows, which the next pass finds in the cache.
package protocol LossKernel: Sendable {
  /// The floats of scratch memory that a run needs.
  func scratchCount(_ parallelism: Parallelism) -> Int

  /// Writes the loss: one value, or one for each element or row.
  /// - Throws: `KeelError` of kind `value` for a label out of range.
  func run(
    _ operands: LossOperands, into y: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) throws(KeelError)

  /// Writes the gradient of the first operand, and of the second for kinds that have two.
  /// - Throws: as `run`.
  func gradient(
    _ operands: LossOperands, dLoss: UnsafePointer<Float>, into dx: UnsafeMutablePointer<Float>,
    second: UnsafeMutablePointer<Float>?, scratch: UnsafeMutablePointer<Float>,
    parallelism: Parallelism
  ) throws(KeelError)
}

extension Loss {
  /// The kernel of this loss.
  /// - Parameters:
  ///   - shape: the extents of the first operand.
  ///   - weightCount: the number of weights, 0 for none.
  package func kernel(_ shape: Shape, weightCount: Int, place: String) -> any LossKernel {
    if let leaf { return PointwiseLoss(self, leaf, shape, weightCount: weightCount) }
    return RowLoss(self, shape, place: place)
  }
}

/// Double sums of tasks at the start of scratch memory.
internal func taskSums(_ scratch: UnsafeMutablePointer<Float>) -> UnsafeMutablePointer<Double> {
  UnsafeMutableRawPointer(scratch).assumingMemoryBound(to: Double.self)
}
