internal import CKeelLoops
package import KeelTensor

/// The co-moments of blocks of channels, in the layout of `ComomentsLayout`.
///
/// Numerics: around a pivot, the mean of a cell's first rows, products and sums in Double; of cells with 4,096
/// rows and more in Float over 32 rows at a time, whose rounding averages out, and added up in Double. Whitening
/// divides by roots of the smallest eigenvalues, so what is lost here shows there, times the condition number:
/// at 10⁴, a relative error of the whitened covariance of 1e-6. A constant channel has its value as the mean and co-moments of exactly 0.
/// Cost: one read of x, and rows·C·(d + 16)/2 multiply-adds in Double.
package struct ComomentsKernel: Sendable {
  private let at: BlockRows

  /// Prepares for a tensor of this shape.
  package init(_ blocks: ChannelBlocks, of shape: Shape) { at = BlockRows(blocks, of: shape) }

  /// Doubles of a block's matrix in a part.
  private var matrixCount: Int { at.paddedSize * at.paddedSize }
  /// Doubles of a part: for each block its matrix and sums.
  private var partCount: Int { at.blockCount * (matrixCount + at.paddedSize) }
  /// The rows from which on products are of Floats.
  private static let manyRows = 4096
  private var panelCount: Int { 32 * at.blockCount * at.paddedSize }
  private var partsCount: Int { at.cells * at.parts.count }

  /// The floats of scratch memory.
  package func scratchCount(_ parallelism: Parallelism) -> Int {
    2 * (partsCount * partCount + parallelism.threadCount * panelCount) + at.cells * at.channels
  }

  /// - Parameter table: (3 + 2·d) × cells × C.
  package func run(
    _ x: UnsafePointer<Float>, into table: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let memory = UnsafeMutableRawPointer(scratch).assumingMemoryBound(to: Double.self)
    let panels = memory + partsCount * partCount
    let pivots = scratch + 2 * (partsCount * partCount + parallelism.threadCount * panelCount)
    for cell in 0..<at.cells { findPivot(cell, x, pivots + cell * at.channels) }
    parallelism.forEach(partsCount, work: at.work) { part, worker in
      gather(
        part, x, pivots, memory + part * partCount, panel: panels + worker * panelCount)
    }
    table.update(
      repeating: 0, count: ComomentsLayout.rows(of: at.blocks.size) * at.tableStep)
    parallelism.forEach(
      at.cells * at.blockCount, work: partsCount * partCount + 8 * at.tableStep * at.blocks.size
    ) { task, _ in
      finish(task / at.blockCount, task % at.blockCount, memory, pivots, table)
    }
  }

  private func findPivot(
    _ cell: Int, _ x: UnsafePointer<Float>, _ pivot: UnsafeMutablePointer<Float>
  ) {
    let first = x + cell * at.rows * at.channels
    let count = min(at.rows, 16)
    for c in 0..<at.channels {
      // Around the first row, so that equal rows have it for their mean.
      var sum = 0.0
      for row in 0..<count { sum += Double(first[row * at.channels + c]) - Double(first[c]) }
      pivot[c] = count == 0 ? 0 : Float(Double(first[c]) + sum / Double(count))
    }
  }

  private func gather(
    _ part: Int, _ x: UnsafePointer<Float>, _ pivots: UnsafePointer<Float>,
    _ memory: UnsafeMutablePointer<Double>, panel: UnsafeMutablePointer<Double>
  ) {
    let cell = part / at.parts.count
    let rows = at.parts[part % at.parts.count]
    memory.update(repeating: 0, count: partCount)
    loops.comoments(
      memory, x + (cell * at.rows + rows.lowerBound) * at.channels, rows.count, at.channels,
      at.blocks.size, pivots + cell * at.channels, panel, at.rows < Self.manyRows ? 1 : 0)
  }

  private func finish(
    _ cell: Int, _ block: Int, _ memory: UnsafeMutablePointer<Double>,
    _ pivots: UnsafePointer<Float>, _ table: UnsafeMutablePointer<Float>
  ) {
    let range = at.range(of: block)
    let step = matrixCount + at.paddedSize
    let total = memory + cell * at.parts.count * partCount + block * step
    for part in 1..<max(1, at.parts.count) {
      let own = total + part * partCount
      for i in 0..<step { total[i] += own[i] }
    }
    // The matrices of smaller blocks are of a smaller order.
    let order = BlockRows.padded(range.count)
    let sums = total + matrixCount
    let out = table + cell * at.channels + range.lowerBound
    let n = Double(at.rows)
    func put(_ row: Int, _ c: Int, _ value: Double) { out[row * at.tableStep + c] = Float(value) }
    for c in 0..<range.count {
      let mean = Double(pivots[cell * at.channels + range.lowerBound + c]) + sums[c] / n
      put(ComomentsLayout.count, c, n)
      put(ComomentsLayout.mean, c, mean)
      put(ComomentsLayout.meanResidual, c, mean - Double(Float(mean)))
      for i in 0...c {
        let product = total[c * order + i] - sums[c] * (sums[i] / n)
        let rest = product - Double(Float(product))
        let residual = ComomentsLayout.productResiduals(of: at.blocks.size)
        put(ComomentsLayout.products + i, c, product)
        put(ComomentsLayout.products + c, i, product)
        put(residual + i, c, rest)
        put(residual + c, i, rest)
      }
    }
  }
}
