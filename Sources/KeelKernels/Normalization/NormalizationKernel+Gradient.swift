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
  var tableCount: Int { 2 * mapCount }
  /// Floats of a worker: a table, what filling needs, three rows.
  private var gradientWorkerCount: Int {
    tableCount + fillCount + 3 * ChannelRows.padded(channels)
  }
  /// Whether one thread takes a table from its sums to dx.
  private func isGradientFused(_ parallelism: Parallelism) -> Bool {
    isFused(parallelism) && !recoversByRow
  }
  /// Sums of γg and γg·(x − pivot) of each cell, and gradients of its mean and Σ(x − mean)².
  private var cellDoubles: Int { 4 * cellCount }

  /// The floats of scratch memory for `gradient`.
  package func gradientScratchCount(_ parallelism: Parallelism) -> Int {
    if isWithinRows {
      return RowNormalization(self).gradientScratchCount(parallelism)
    }
    return gradientTasks.memoryCount + gradientWorkerCount * parallelism.threadCount
      + constantCount + 2 * cellDoubles
      + (isGradientFused(parallelism) ? 0 : tables.count * tableCount)
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
    if isWithinRows {
      RowNormalization(self).gradient(
        dy, x: x, y: y, mask: Int32(mask.rawValue), statistics, recovery, into: to,
        scratch: scratch, parallelism: parallelism)
      return
    }
    let tasks = gradientTasks
    let sums = moments.doubles(scratch)
    let cells = sums + tasks.slots * tasks.slotCount
    let workers = scratch + tasks.memoryCount + 2 * cellDoubles
    let constants = workers + gradientWorkerCount * parallelism.threadCount
    let maps = constants + constantCount
    fillConstants(constants)
    let pass = NormalizationGradientPass(
      kernel: self, tasks: tasks, dy: dy, x: x, y: y, mask: Int32(mask.rawValue),
      statistics: statistics.pointers(cells: cellCount), recovery: recovery, to: to, sums: sums,
      cells: cells, constants: constants,
      isFused: isGradientFused(parallelism))
    // A worker's rows, and what filling needs.
    func memory(_ worker: Int) -> (
      rows: UnsafeMutablePointer<Float>, fill: UnsafeMutablePointer<Float>
    ) {
      let fill = workers + worker * gradientWorkerCount + tableCount
      return (fill + fillCount, fill)
    }
    if isGradientFused(parallelism) {
      parallelism.forEach(tables.count, work: 4 * rows * channels) { table, worker in
        let (rows, fill) = memory(worker)
        let own = workers + worker * gradientWorkerCount
        let maps = own - table * tableCount
        pass.fill(table, own, fill)
        for task in tasks.firstTask![table]..<tasks.firstTask![table + 1] {
          pass.reduce(task, maps, rows)
        }
        tasks.addSlots(of: table, sums)
        pass.cellSums(table, clearing: true)
        pass.adjoint(cellRow: table, fill)
        pass.coefficients(table, own, fill)
        forEachPart(of: table..<table + 1) { pass.apply($0, maps) }
      }
    } else {
      parallelism.forEach(tables.count, work: tables.count * channels * 16) { table, worker in
        pass.fill(table, maps + table * tableCount, memory(worker).fill)
      }
      parallelism.forEach(tasks.count, work: 2 * rows * channels) { task, worker in
        pass.reduce(task, maps, memory(worker).rows)
      }
      parallelism.forEach(tables.count, work: 2 * tasks.slots * channels) { table, _ in
        tasks.addSlots(of: table, sums)
      }
      pass.clearCells()
      for table in 0..<tables.count { pass.cellSums(table, clearing: false) }
      parallelism.forEach(tables.cellRows, work: cellCount * 32) { cellRow, worker in
        pass.adjoint(cellRow: cellRow, memory(worker).fill)
      }
      parallelism.forEach(tables.count, work: tables.count * channels * 16) { table, worker in
        pass.coefficients(table, maps + table * tableCount, memory(worker).fill)
      }
      parallelism.forEach(pieces.count, work: 2 * rows * channels) { task, _ in
        pieces.forEachRange(of: pieces.count - 1 - task, fromEnd: true) { pass.apply($0, maps) }
      }
    }
    if !recoversByRow { pass.affineSums() }
  }
}
