internal import CKeelLoops
package import KeelTensor

/// Elementwise passes over tensors of one shape. Aliasing: the result may be any operand.
package enum Elementwise {
  private static let elementsPerTask = 32_768

  internal static func forEachSlice(
    _ count: Int, work: Int, _ parallelism: Parallelism,
    _ body: (_ offset: Int, _ count: Int) -> Void
  ) {
    let slices = RowTiles(rows: count, target: elementsPerTask)
    parallelism.forEach(slices.count, work: work) { task, _ in
      body(slices[task].lowerBound, slices[task].count)
    }
  }

  /// y = f(x).
  package static func activate(
    _ activation: Activation, _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    count: Int, parallelism: Parallelism
  ) {
    let leaf = activation.leaf
    forEachSlice(count, leaf, parallelism) { loops.activate(y + $0, x + $0, $1, leaf) }
  }

  /// dx = dy·f′, from the value that the activation's `gradientOperand` names.
  package static func activationGradient(
    _ activation: Activation, _ dy: UnsafePointer<Float>, from value: UnsafePointer<Float>,
    into dx: UnsafeMutablePointer<Float>, count: Int, parallelism: Parallelism
  ) {
    let leaf = activation.leaf
    forEachSlice(count, leaf, parallelism) {
      loops.activateGradient(dx + $0, dy + $0, value + $0, $1, leaf)
    }
  }

  /// y = f(x).
  package static func apply(
    _ function: ElementwiseFunction, _ x: UnsafePointer<Float>,
    into y: UnsafeMutablePointer<Float>, count: Int, parallelism: Parallelism
  ) {
    let leaf = function.leaf
    forEachSlice(count, work: count * function.workPerElement, parallelism) {
      loops.elementwise(leaf, y + $0, x + $0, $1)
    }
  }

  private static func forEachSlice(
    _ count: Int, _ leaf: KeelActivation, _ parallelism: Parallelism,
    _ body: (_ offset: Int, _ count: Int) -> Void
  ) {
    forEachSlice(count, work: count * leaf.workPerElement, parallelism, body)
  }
}
