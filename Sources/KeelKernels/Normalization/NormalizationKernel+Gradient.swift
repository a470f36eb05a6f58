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
    let pass = GradientPass(
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

/// The steps of one gradient.
private struct GradientPass {
  let kernel: NormalizationKernel
  let dy: UnsafePointer<Float>, x: UnsafePointer<Float>, y: UnsafePointer<Float>?
  let mask: Int32
  let statistics: KeelMoments
  let recovery: RecoveryOperands
  let to: NormalizationGradients
  /// Slots of Σ g and Σ g·(x − pivot).
  let sums: UnsafeMutablePointer<Double>
  /// Σ γg and Σ γg·(x − pivot) of each cell, then the gradients of its mean and Σ(x − mean)².
  let cells: UnsafeMutablePointer<Double>
  let constants: UnsafeMutablePointer<Float>

  private var channels: Int { kernel.channels }
  private var padded: Int { ChannelRows.padded(kernel.channels) }
  private var tasks: TableTasks { kernel.moments.tasks }

  func fill(
    _ table: Int, _ memory: UnsafeMutablePointer<Float>, _ worker: UnsafeMutablePointer<Float>
  ) {
    kernel.fill(memory, table: table, statistics, recovery, worker)
  }

  /// Sums of a task's rows, in its slots.
  func reduce(
    _ task: Int, _ rows: UnsafeMutablePointer<Float>,
    _ memory: (_ table: Int) -> UnsafeMutablePointer<Float>
  ) {
    let (sum, product) = (rows, rows + padded)
    tasks.clear(task: task, sums)
    kernel.tables.forEachRun(
      in: tasks.tasks[task], labels: recovery.labels, period: kernel.period
    ) { run, table in
      let slot = tasks.slot(sums, task: task, table: table)
      var first = run.lowerBound
      while first < run.upperBound {
        let count = min(RowReduction.chunkRows, run.upperBound - first)
        let at = first * channels
        let map = kernel.map(memory(table), from: first, recovery, constants: constants)
        withUnsafePointer(to: map) { map in
          loops.normalizeReduce(
            map, dy + at, x + at, y.map { $0 + at }, count, channels, mask, sum, product)
        }
        loops.accumulate(slot, sum, channels)
        loops.accumulate(slot + channels, product, channels)
        first += count
      }
    }
  }

  func clearCells() { cells.update(repeating: 0, count: 2 * kernel.cellCount) }

  /// Adds a table's sums to those of its cells.
  func cellSums(_ table: Int, clearing: Bool) {
    let slot = tasks.total(of: table, sums)
    let first = kernel.tables.cellRow(of: table, labels: recovery.labels) * kernel.groups
    let scale = kernel.recoversByRow ? nil : kernel.tableRecovery(table, recovery).scale
    for g in 0..<kernel.groups {
      var (sum, product) = (0.0, 0.0)
      for c in g * kernel.group..<(g + 1) * kernel.group {
        let gamma = Double(scale?[c] ?? 1)
        sum += gamma * slot[c]
        product += gamma * slot[channels + c]
      }
      let cell = first + g
      cells[cell] = (clearing ? 0 : cells[cell]) + sum
      cells[kernel.cellCount + cell] = (clearing ? 0 : cells[kernel.cellCount + cell]) + product
    }
  }

  /// The gradients of a row of cells' means and Σ(x − mean)².
  func adjoint(cellRow: Int, _ worker: UnsafeMutablePointer<Float>) {
    let (first, count) = (cellRow * kernel.groups, kernel.cellCount)
    let (dMean, dDeviations) = (cells + 2 * count, cells + 3 * count)
    withUnsafePointer(to: kernel.operation) { operation in
      withUnsafePointer(to: statistics) { statistics in
        loops.cellAdjoints(
          operation, statistics, first, kernel.groups, cells + first, cells + count + first,
          dMean + first, dDeviations + first)
      }
    }
    guard let table = to.dMoments else { return }
    for cell in first..<first + kernel.groups {
      table[MomentsLayout.count * count + cell] = 0
      table[MomentsLayout.mean * count + cell] = Float(dMean[cell])
      table[MomentsLayout.meanResidual * count + cell] = Float(dMean[cell])
      table[MomentsLayout.squaredDeviations * count + cell] = Float(dDeviations[cell])
    }
  }

  /// Fills a, b and c of a table, behind its map, and turns its sums into what γ and β get.
  func coefficients(
    _ table: Int, _ memory: UnsafeMutablePointer<Float>, _ worker: UnsafeMutablePointer<Float>
  ) {
    let inverse = UnsafeMutableRawPointer(worker).assumingMemoryBound(to: Double.self)
    let offset = inverse + ChannelRows.padded(kernel.groups)
    let pivot = worker + 4 * ChannelRows.padded(kernel.groups)
    let first = kernel.tables.cellRow(of: table, labels: recovery.labels) * kernel.groups
    withUnsafePointer(to: kernel.operation) { operation in
      withUnsafePointer(to: statistics) { statistics in
        loops.cellMaps(operation, statistics, first, kernel.groups, pivot, inverse, offset)
      }
    }
    let scale = kernel.recoversByRow ? nil : kernel.tableRecovery(table, recovery).scale
    let slot = tasks.total(of: table, sums)
    let count = kernel.cellCount
    let (a, b, c) = (memory + 3 * padded, memory + 4 * padded, memory + 5 * padded)
    let isCurrent = kernel.normalization.statistics == .current
    for g in 0..<kernel.groups {
      let cell = first + g
      var (slope, constant) = (0.0, 0.0)
      if isCurrent, let counts = statistics.count, counts[cell] > 0 {
        let mean = Double(statistics.mean[cell]) + Double(statistics.rest[cell])
        slope = 2 * cells[3 * count + cell]
        constant =
          cells[2 * count + cell] / Double(counts[cell]) + slope * (Double(pivot[g]) - mean)
      }
      for channel in g * kernel.group..<(g + 1) * kernel.group {
        a[channel] = Float(Double(scale?[channel] ?? 1) * inverse[g])
        b[channel] = Float(slope)
        c[channel] = Float(constant)
        slot[channels + channel] =
          inverse[g] * slot[channels + channel] + offset[g] * slot[channel]
      }
    }
  }

  /// dx and dResidual of the rows of a range.
  func apply(_ range: Range<Int>, _ memory: (_ table: Int) -> UnsafeMutablePointer<Float>) {
    kernel.tables.forEachRun(in: range, labels: recovery.labels, period: kernel.period) {
      run, table in
      let at = run.lowerBound * channels
      let own = memory(table)
      let map = kernel.map(own, from: run.lowerBound, recovery, constants: constants)
      withUnsafePointer(to: map) { map in
        loops.normalizeGradient(
          map, to.dx + at, to.dResidual.map { $0 + at }, dy + at, x + at, y.map { $0 + at },
          run.count, channels, mask, own + 3 * padded, own + 4 * padded, own + 5 * padded)
      }
    }
  }

  /// dγ and dβ of channels or samples, from the tables' sums in order.
  func affineSums() {
    guard to.dScale != nil || to.dShift != nil else { return }
    let perSample = kernel.normalization.recovery.extent == .samples
    if !perSample {
      to.dScale?.update(repeating: 0, count: channels)
      to.dShift?.update(repeating: 0, count: channels)
      let total = tasks.total(of: 0, sums)
      for table in 1..<max(kernel.tables.count, 1) {
        let slot = tasks.total(of: table, sums)
        for i in 0..<2 * channels { total[i] += slot[i] }
      }
      write(total, at: 0)
      return
    }
    // A sample may hold several tables, which follow each other.
    var table = 0
    while table < kernel.tables.count {
      let sample = kernel.tables.rows(of: table).lowerBound / max(kernel.positions, 1)
      let total = tasks.total(of: table, sums)
      table += 1
      while table < kernel.tables.count,
        kernel.tables.rows(of: table).lowerBound / max(kernel.positions, 1) == sample
      {
        let slot = tasks.total(of: table, sums)
        for i in 0..<2 * channels { total[i] += slot[i] }
        table += 1
      }
      write(total, at: sample * channels)
    }
  }

  private func write(_ total: UnsafeMutablePointer<Double>, at offset: Int) {
    for c in 0..<channels {
      to.dShift?[offset + c] = Float(total[c])
      to.dScale?[offset + c] = Float(total[channels + c])
    }
  }

  // MARK: Row by row

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
