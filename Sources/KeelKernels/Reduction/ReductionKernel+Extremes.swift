internal import CKeelLoops
internal import KeelTensor

extension ReductionKernel {
  /// The floats of scratch memory for `extremeGradient`: a position and a value for each result.
  package var extremeScratchCount: Int { form == .scattered ? 3 * resultCount : 0 }

  /// dx = dy at the first extreme in row-major order, a NaN being beyond everything; 0 elsewhere.
  /// Aliasing: none.
  package func extremeGradient(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, into dx: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    if form == .scattered {
      scatteredGradient(dy, x, dx, scratch)
      return
    }
    let size = rows * channels
    let tiles = RowTiles(rows: outer, target: max(1, Self.elementsPerTask / size))
    parallelism.forEach(tiles.count, work: 4 * outer * size) { tile, _ in
      let first = tiles[tile].lowerBound
      loops.extremeGradient(
        kind.leaf, dx + first * size, dy + first * channels, x + first * size, tiles[tile].count,
        rows, channels)
    }
  }

  /// One pass in row-major order finds the first extremes, a second writes their gradients.
  private func scatteredGradient(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ dx: UnsafeMutablePointer<Float>,
    _ scratch: UnsafeMutablePointer<Float>
  ) {
    let total = resultCount
    let positions = UnsafeMutableRawPointer(scratch).assumingMemoryBound(to: Int.self)
    let best = scratch + 2 * total
    positions.update(repeating: -1, count: total)
    let count = axes.reduce(1) { $0 * $1.extent }
    for i in 0..<count {
      var (rest, target, step) = (i, 0, 1)
      for axis in axes.reversed() {
        let (quotient, index) = rest.quotientAndRemainder(dividingBy: axis.extent)
        if !axis.goes {
          target += index * step
          step *= axis.extent
        }
        rest = quotient
      }
      let value = x[i]
      let wins =
        positions[target] < 0 || (value.isNaN && !best[target].isNaN)
        || (kind == .maximum ? value > best[target] : value < best[target])
      if wins {
        positions[target] = i
        best[target] = value
      }
      dx[i] = 0
    }
    for target in 0..<total { dx[positions[target]] = dy[target] }
  }
}
