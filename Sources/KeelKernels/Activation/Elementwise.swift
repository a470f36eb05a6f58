internal import CKeelLoops

/// Elementwise passes over tensors of one shape. Aliasing: the result may be any operand.
package enum Elementwise {
  private static let elementsPerTask = 32_768

  private static func forEachSlice(
    _ count: Int, _ parallelism: Parallelism, _ body: (_ offset: Int, _ count: Int) -> Void
  ) {
    let slices = RowTiles(rows: count, target: elementsPerTask)
    parallelism.forEach(slices.count, work: count) { task, _ in
      body(slices[task].lowerBound, slices[task].count)
    }
  }

  /// y = a + b.
  package static func add(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    count: Int, parallelism: Parallelism
  ) {
    forEachSlice(count, parallelism) { loops.add(y + $0, a + $0, b + $0, $1) }
  }

  /// y = max(x, 0); NaN passes through.
  package static func relu(
    _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int,
    parallelism: Parallelism
  ) {
    forEachSlice(count, parallelism) { loops.relu(y + $0, x + $0, $1) }
  }

  /// dx = dy where y > 0, else 0.
  package static func reluGradient(
    _ dy: UnsafePointer<Float>, y: UnsafePointer<Float>, into dx: UnsafeMutablePointer<Float>,
    count: Int, parallelism: Parallelism
  ) {
    forEachSlice(count, parallelism) { loops.reluGradient(dx + $0, dy + $0, y + $0, $1) }
  }
}
