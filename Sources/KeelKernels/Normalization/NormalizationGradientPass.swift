internal import CKeelLoops
internal import KeelTensor

/// The steps of one gradient.
internal struct NormalizationGradientPass {
  let kernel: NormalizationKernel
  let tasks: TableTasks
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
  /// Whether the pass over a table for dx follows that for its sums at once, while x and dy are in a cache.
  let isFused: Bool

  var channels: Int { kernel.channels }
  var padded: Int { ChannelRows.padded(kernel.channels) }

  func fill(
    _ table: Int, _ memory: UnsafeMutablePointer<Float>, _ worker: UnsafeMutablePointer<Float>
  ) {
    kernel.fill(memory, table: table, statistics, recovery, worker)
  }

  /// Whether the pass for the sums writes dResidual, so that the other reads it instead of dy and y.
  private var leavesResidual: Bool { !isFused && mask == KEEL_MASK_OUTPUT.rawValue }

  /// Sums of a task's rows, in its slots; dγ and dβ where they change
  /// row by row: each element is summed in Float over the rows that share it, in order, by one task.
  /// - Parameters:
  ///   - memory: what tables' numbers lie in, by table.
  ///   - rows: three rows of a worker's.
  func reduce(
    _ task: Int, _ memory: UnsafeMutablePointer<Float>, _ rows: UnsafeMutablePointer<Float>
  ) {
    let residual = leavesResidual ? to.dResidual : nil
    let streams = LargeResult.streams(kernel.rows * channels, residual, over: x, and: dy)
    let (sum, product, unwanted) = (rows, rows + padded, rows + 2 * padded)
    tasks.clear(task: task, sums)
    clearRecovery(of: task)
    tasks.pieces.forEachRange(of: task) { range in
      kernel.tables.forEachRun(in: range, labels: recovery.labels, period: kernel.period) {
        run, table in
        let slot = tasks.slot(sums, task: task, table: table)
        var first = run.lowerBound
        while first < run.upperBound {
          let count = min(RowReduction.chunkRows, run.upperBound - first)
          let at = first * channels
          let own = memory + table * kernel.tableCount
          let map = kernel.map(own, from: first, recovery, constants: constants)
          let offset = kernel.rowOffset(first).offset
          withUnsafePointer(to: map) { map in
            loops.normalizeReduce(
              map, dy + at, x + at, y.map { $0 + at }, count, channels, mask, sum, product,
              residual.map { $0 + at }, streams,
              to.dScale.map { $0 + offset } ?? unwanted,
              to.dShift.map { $0 + offset } ?? unwanted)
          }
          loops.accumulate(slot, sum, channels)
          loops.accumulate(slot + channels, product, channels)
          first += count
        }
      }
    }
  }

  /// Empties the elements of dγ and dβ that a task sums.
  private func clearRecovery(of task: Int) {
    guard kernel.recoversByRow else { return }
    var rows = tasks.pieces.ranges[task]
    if kernel.normalization.recovery.extent == .samples {
      let positions = max(kernel.positions, 1)
      rows = rows.lowerBound / positions..<rows.upperBound / positions
    }
    let (at, count) = (rows.lowerBound * channels, rows.count * channels)
    to.dScale.map { ($0 + at).update(repeating: 0, count: count) }
    to.dShift.map { ($0 + at).update(repeating: 0, count: count) }
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

  /// dx of the rows of a range, and dResidual unless the sums have left it.
  func apply(_ range: Range<Int>, _ memory: UnsafeMutablePointer<Float>) {
    let isLeft = leavesResidual
    let g = isLeft ? UnsafePointer(to.dResidual!) : dy
    let residual = isLeft ? nil : to.dResidual
    let mask = isLeft ? Int32(KEEL_MASK_NONE.rawValue) : mask
    let streams = LargeResult.streams(kernel.rows * channels, to.dx, over: x, and: g)
    kernel.tables.forEachRun(in: range, labels: recovery.labels, period: kernel.period) {
      run, table in
      let at = run.lowerBound * channels
      let own = memory + table * kernel.tableCount
      let map = kernel.map(own, from: run.lowerBound, recovery, constants: constants)
      withUnsafePointer(to: map) { map in
        loops.normalizeGradient(
          map, to.dx + at, residual.map { $0 + at }, g + at, x + at, y.map { $0 + at }, run.count,
          channels, mask, own + 3 * padded, own + 4 * padded, own + 5 * padded, streams)
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
}
