internal import CKeelLoops
package import KeelTensor

/// Arithmetic of two operands that are broadcast against each other.
///
/// Axes along which both operands go on in the same way are joined. What is left are blocks of
/// rows × channels, in which each operand is a matrix, one row for all, one number per row or one number,
/// and outer axes over which the blocks are laid. So equal shapes are one long row, a bias or a scalar
/// one block, and factors N×1×1×C for N×H×W×C one block per sample.
package struct BroadcastKernel: Sendable {
  private let axes: [BroadcastAxis]
  private let rows: Int
  private let channels: Int
  private let rowSteps: (a: Int, b: Int)
  private let steps: (a: Int, b: Int)

  /// Prepares for operands of shapes that broadcast.
  package init(_ a: Shape, _ b: Shape) {
    var axes = BroadcastAxis.joined(a, b)
    let inner = axes.popLast()
    channels = inner?.extent ?? 1
    steps = (inner?.a ?? 0, inner?.b ?? 0)
    let next = axes.popLast()
    rows = next?.extent ?? 1
    rowSteps = (next?.a ?? 0, next?.b ?? 0)
    self.axes = axes
  }

  /// y = a ∘ b. Aliasing: y may be an operand that is not broadcast.
  package func run(
    _ operation: Arithmetic, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>,
    into y: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let leaf = operation.leaf
    forEachBlock(a, b, work: operation.workPerElement, parallelism) { at, a, b, rows, channels in
      var (a, b) = (a, b)
      loops.arithmetic(leaf, y + at, &a, &b, rows, channels)
    }
  }

  /// dx = what of dy goes to the operand in question. Aliasing: dx may be dy.
  package func gradient(
    _ operand: ArithmeticGradient, _ dy: UnsafePointer<Float>, _ a: UnsafePointer<Float>,
    _ b: UnsafePointer<Float>, into dx: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let leaf = operand.leaf
    forEachBlock(a, b, work: operand.workPerElement, parallelism) { at, a, b, rows, channels in
      var (a, b) = (a, b)
      loops.arithmeticGradient(leaf, dx + at, dy + at, &a, &b, rows, channels)
    }
  }

  private static let elementsPerTask = 32_768

  /// Calls a closure with parts of the result: where each begins, the operands there, rows and channels.
  private func forEachBlock(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, work: Int, _ parallelism: Parallelism,
    _ body: (_ at: Int, _ a: KeelBroadcast, _ b: KeelBroadcast, _ rows: Int, _ channels: Int) ->
      Void
  ) {
    let blocks = axes.reduce(1) { $0 * $1.extent }
    let size = rows * channels
    func operand(_ p: UnsafePointer<Float>, _ row: Int, _ step: Int) -> KeelBroadcast {
      KeelBroadcast(values: p, row: row, step: Int32(step))
    }
    if blocks == 1, rows == 1 {
      let tiles = RowTiles(rows: channels, target: Self.elementsPerTask)
      parallelism.forEach(tiles.count, work: work * channels) { task, _ in
        let first = tiles[task].lowerBound
        body(
          first, operand(a + first * steps.a, 0, steps.a), operand(b + first * steps.b, 0, steps.b),
          1, tiles[task].count)
      }
      return
    }
    // Tasks are rows of one block, or several blocks.
    let rowTiles = RowTiles(rows: rows, target: max(1, Self.elementsPerTask / channels))
    let group = max(1, Self.elementsPerTask / size)
    let groups = RowTiles(rows: blocks, target: group)
    parallelism.forEach(groups.count * rowTiles.count, work: work * blocks * size) { task, _ in
      let (groupIndex, tile) = task.quotientAndRemainder(dividingBy: rowTiles.count)
      let range = rowTiles[tile]
      for block in groups[groupIndex] {
        let offset = offsets(of: block)
        body(
          block * size + range.lowerBound * channels,
          operand(a + offset.a + range.lowerBound * rowSteps.a, rowSteps.a, steps.a),
          operand(b + offset.b + range.lowerBound * rowSteps.b, rowSteps.b, steps.b),
          range.count, channels)
      }
    }
  }

  private func offsets(of block: Int) -> (a: Int, b: Int) {
    var rest = block
    var result = (a: 0, b: 0)
    for axis in axes.reversed() {
      let (quotient, index) = rest.quotientAndRemainder(dividingBy: axis.extent)
      result.a += index * axis.a
      result.b += index * axis.b
      rest = quotient
    }
    return result
  }
}

/// An axis of a result with the floats from one index to the next in either operand: 0 where it is
/// broadcast.
internal struct BroadcastAxis: Hashable, Sendable {
  var extent: Int
  var a: Int
  var b: Int

  /// The axes of the result, outermost first, joined where both operands go on in the same way.
  static func joined(_ a: Shape, _ b: Shape) -> [BroadcastAxis] {
    let rank = max(a.rank, b.rank)
    var (aStep, bStep) = (1, 1)
    var inward: [BroadcastAxis] = []
    for axis in 0..<rank {
      let p = axis < a.rank ? a[a.rank - 1 - axis] : 1
      let q = axis < b.rank ? b[b.rank - 1 - axis] : 1
      let extent = p == 1 ? q : p
      guard extent != 1 else { continue }
      let next = BroadcastAxis(extent: extent, a: p == 1 ? 0 : aStep, b: q == 1 ? 0 : bStep)
      aStep *= p
      bStep *= q
      if let last = inward.last, last.a * last.extent == next.a, last.b * last.extent == next.b {
        inward[inward.count - 1].extent *= extent
      } else {
        inward.append(next)
      }
    }
    return inward.reversed()
  }
}
