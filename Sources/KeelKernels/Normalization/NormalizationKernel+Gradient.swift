internal import CKeelLoops
internal import KeelTensor

/// Where the results of a normalization's gradient go; nil where there is none.
package struct NormalizationGradients {
  /// dx; may be dy.
  package var dx: UnsafeMutablePointer<Float>
  /// dγ and dβ, of the recovery's extents.
  package var dScale: UnsafeMutablePointer<Float>?, dShift: UnsafeMutablePointer<Float>?
  /// dResidual.
  package var dResidual: UnsafeMutablePointer<Float>?
  /// 4 × cells, for given moments.
  package var dMoments: UnsafeMutablePointer<Float>?

  package init(
    dx: UnsafeMutablePointer<Float>, dScale: UnsafeMutablePointer<Float>?,
    dShift: UnsafeMutablePointer<Float>?, dResidual: UnsafeMutablePointer<Float>?,
    dMoments: UnsafeMutablePointer<Float>?
  ) {
    self.dx = dx
    self.dScale = dScale
    self.dShift = dShift
    self.dResidual = dResidual
    self.dMoments = dMoments
  }
}

/// The gradient of a normalization. With g = dy where the activation was active, and sums over a cell:
///
/// dβ = Σ g, dγ = Σ g·z, dResidual = g, and dx = a·g + b·(x − pivot) + c with a = γ/s, and b and c from the
/// gradients of the cell's mean and Σ(x − mean)², which are functions of Σ γg and Σ γg·z; both are 0 where
/// the statistics are not those of x.
///
/// Cost: two reads of x and dy and one write; where cells lie within samples the second reads are those of
/// a cache.
extension NormalizationKernel {
  /// Floats of a table's numbers in the backward pass: its map and a, b, c.
  private var tableCount: Int { 2 * mapCount }
  /// Floats of a worker: a table, what filling needs, sums of a chunk, four Doubles per cell.
  private var gradientWorkerCount: Int {
    tableCount + fillCount + 2 * ChannelRows.padded(channels) + 8 * ChannelRows.padded(groups)
  }
  /// Whether a table's numbers are kept for the passes after that which made them.
  private func keepsMaps(_ parallelism: Parallelism) -> Bool {
    !isFused(parallelism) || recoversByRow
  }
  private var cellDoubles: Int { 4 * cellCount }

  /// The floats of scratch memory for `gradient`.
  package func gradientScratchCount(_ parallelism: Parallelism) -> Int {
    if RowNormalization.serves(normalization) {
      return RowNormalization(self).gradientScratchCount(parallelism)
    }
    return moments.tasks.memoryCount + gradientWorkerCount * parallelism.threadCount
      + constantCount + 2 * cellDoubles + (keepsMaps(parallelism) ? tables.count * tableCount : 0)
  }

  /// Computes the gradients.
  /// - Parameter y: the forward result, where it is what tells the active elements (with a residual);
  ///   otherwise they are recomputed from x.
  package func gradient(
    _ dy: UnsafePointer<Float>, x: UnsafePointer<Float>, y: UnsafePointer<Float>?,
    statistics: CellStatistics, recovery: RecoveryOperands, into to: NormalizationGradients,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let mask = isReLU ? (y == nil ? KEEL_MASK_RECOMPUTE : KEEL_MASK_OUTPUT) : KEEL_MASK_NONE
    if RowNormalization.serves(normalization) {
      RowNormalization(self).gradient(
        dy, x: x, y: y, mask: Int32(mask.rawValue), statistics, recovery, into: to,
        scratch: scratch, parallelism: parallelism)
      return
    }
    let tasks = moments.tasks
    let sums = moments.doubles(scratch)
    let cells = sums + tasks.slots * tasks.slotCount
    let workers = scratch + tasks.memoryCount + 2 * cellDoubles
    let constants = workers + gradientWorkerCount * parallelism.threadCount
    let maps = constants + constantCount
    fillConstants(constants)
    let pass = NormalizationGradientPass(
      kernel: self, dy: dy, x: x, y: y, mask: Int32(mask.rawValue),
      statistics: statistics.pointers(cells: cellCount), recovery: recovery, to: to, sums: sums,
      cells: cells, constants: constants)
    func worker(_ index: Int) -> UnsafeMutablePointer<Float> {
      workers + index * gradientWorkerCount
    }
    let keepsMaps = keepsMaps(parallelism)
    func memory(_ table: Int, _ index: Int) -> UnsafeMutablePointer<Float> {
      keepsMaps ? maps + table * tableCount : worker(index)
    }
    if !keepsMaps {
      parallelism.forEach(tables.count, work: 4 * rows * channels) { table, index in
        let own = worker(index)
        pass.fill(table, own, own + tableCount)
        for task in tasks.firstTask[table]..<tasks.firstTask[table + 1] {
          pass.reduce(task, own + tableCount + fillCount) { _ in own }
        }
        tasks.addSlots(of: table, sums)
        pass.cellSums(table, clearing: true)
        pass.adjoint(cellRow: table, own + tableCount)
        pass.coefficients(table, own, own + tableCount)
        pass.apply(tables.rows(of: table)) { _ in own }
      }
    } else {
      parallelism.forEach(tables.count, work: tables.count * channels * 16) { table, index in
        pass.fill(table, memory(table, index), worker(index) + tableCount)
      }
      parallelism.forEach(tasks.tasks.count, work: 2 * rows * channels) { task, index in
        pass.reduce(task, worker(index) + tableCount + fillCount) { memory($0, index) }
      }
      pass.clearCells()
      for table in 0..<tables.count {
        tasks.addSlots(of: table, sums)
        pass.cellSums(table, clearing: false)
      }
      parallelism.forEach(tables.cellRows, work: cellCount * 32) { cellRow, index in
        pass.adjoint(cellRow: cellRow, worker(index) + tableCount)
      }
      parallelism.forEach(tables.count, work: tables.count * channels * 16) { table, index in
        pass.coefficients(table, memory(table, index), worker(index) + tableCount)
      }
      if recoversByRow {
        // Before dx, which may be written over dy.
        pass.affineRows(parallelism) { table, index in
          (maps + table * tableCount, worker(index))
        }
      }
      parallelism.forEach(pieces.count, work: 2 * rows * channels) { task, index in
        pass.apply(pieces[pieces.count - 1 - task]) { memory($0, index) }
      }
    }
    if !recoversByRow { pass.affineSums() }
  }
}
