internal import CKeelLoops
internal import KeelTensor

/// What γ and β get where they change row by row.
extension NormalizationGradientPass {
  /// dγ and dβ row by row: each element is summed in Float over the rows that share it, in order, by one
  /// task.
  /// - Parameter memory: a table's numbers, and a row of a worker's for what nobody wants.
  func affineRows(
    _ parallelism: Parallelism,
    _ memory: (_ table: Int, _ worker: Int) -> (
      UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>
    )
  ) {
    guard to.dScale != nil || to.dShift != nil else { return }
    to.dScale?.update(repeating: 0, count: kernel.affineCount)
    to.dShift?.update(repeating: 0, count: kernel.affineCount)
    let tiles = kernel.affineTiles
    parallelism.forEach(tiles.count, work: 2 * kernel.rows * channels) { tile, worker in
      kernel.forEachRange(of: tiles[tile]) { range in
        affine(range) { memory($0, worker) }
      }
    }
  }

  private func affine(
    _ range: Range<Int>,
    _ memory: (_ table: Int) -> (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>)
  ) {
    kernel.tables.forEachRun(in: range, labels: recovery.labels, period: kernel.period) {
      run, table in
      let at = run.lowerBound * channels
      let (own, unwanted) = memory(table)
      let map = kernel.map(own, from: run.lowerBound, recovery, constants: constants)
      let offset = kernel.rowOffset(run.lowerBound).offset
      withUnsafePointer(to: map) { map in
        loops.affineGradient(
          map, to.dScale.map { $0 + offset } ?? unwanted,
          to.dShift.map { $0 + offset } ?? unwanted, dy + at, x + at, y.map { $0 + at },
          run.count, channels, mask)
      }
    }
  }
}
