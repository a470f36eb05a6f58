internal import CKeelLoops
package import KeelTensor

/// The moments of the cells of a partition, in the layout of `MomentsLayout`.
///
/// Numerics: chunks of at most 256 rows are summed in Float around a pivot (a row of the chunk, then the
/// mean so far); chunks, tasks and cells are merged in Double (Chan, Golub and LeVeque 1979). Never
/// E[x²] − E[x]². A constant channel has its value as the mean and deviations of exactly 0.
/// Results do not depend on the number of threads. Cost: one read of x.
package struct MomentsKernel: Sendable {
  let tables: RowTables
  let channels: Int
  /// Channels of a cell.
  let group: Int
  let tasks: TableTasks
  private let weightPeriod: Int?

  /// - Parameters:
  ///   - labelsPerPosition: whether labels are those of positions, not of samples.
  ///   - weightsPerPosition: whether weights are those of positions; nil without weights.
  package init(
    _ partition: Partition, of shape: Shape, labelsPerPosition: Bool = false,
    weightsPerPosition: Bool? = nil
  ) {
    self.init(
      RowTables(
        partition, of: shape, bySample: false, labelsPerPosition: labelsPerPosition),
      partition, of: shape, weightsPerPosition: weightsPerPosition)
  }

  init(
    _ tables: RowTables, _ partition: Partition, of shape: Shape, weightsPerPosition: Bool? = nil
  ) {
    self.tables = tables
    channels = shape.channelCount
    group = max(1, channels) / partition.channelCells(of: max(1, channels))
    tasks = TableTasks(tables, channels: channels)
    weightPeriod = weightsPerPosition.map { $0 ? 1 : shape.rowCount / max(shape[0], 1) }
  }

  /// The number of cells.
  package var cellCount: Int { tables.cellRows * groups }
  /// The cells of a row of them.
  var groups: Int { channels / max(group, 1) }

  private var workerCount: Int { 3 * ChannelRows.padded(channels) }

  /// The floats of scratch memory.
  package func scratchCount(_ parallelism: Parallelism) -> Int {
    tasks.memoryCount + workerCount * parallelism.threadCount
      + (tables.haveOwnCells ? 0 : 2 * tables.cellRows * tasks.slotCount)
  }

  /// - Parameters:
  ///   - x: rows × channels.
  ///   - labels: int64, in range; those of samples or positions.
  ///   - weights: those of samples or positions.
  ///   - moments: 4 × cells.
  package func run(
    _ x: UnsafePointer<Float>, labels: UnsafePointer<Int64>? = nil,
    weights: UnsafePointer<Float>? = nil, into moments: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let memory = doubles(scratch)
    parallelism.forEach(tasks.count, work: tables.rows * channels) { task, worker in
      gather(
        task, x, labels: labels, weights: weights, memory,
        self.worker(scratch, worker))
    }
    if tables.haveOwnCells {
      parallelism.forEach(tables.count, work: tasks.slots * channels * 8) { table, _ in
        finish(table, memory, into: moments)
      }
    } else {
      mergeCells(labels, memory, into: moments)
    }
  }

  func doubles(_ scratch: UnsafeMutablePointer<Float>) -> UnsafeMutablePointer<Double> {
    UnsafeMutableRawPointer(scratch).assumingMemoryBound(to: Double.self)
  }

  private func worker(_ scratch: UnsafeMutablePointer<Float>, _ worker: Int)
    -> UnsafeMutablePointer<Float>
  {
    scratch + tasks.memoryCount + worker * workerCount
  }

  /// The moments of one table that is a cell row by itself.
  func run(
    table: Int, _ x: UnsafePointer<Float>, into moments: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, worker: Int
  ) {
    let memory = doubles(scratch)
    for task in tasks.firstTask![table]..<tasks.firstTask![table + 1] {
      gather(task, x, labels: nil, weights: nil, memory, self.worker(scratch, worker))
    }
    finish(table, memory, into: moments)
  }

  /// Gathers the moments of a task's rows in its slots: means, deviations, and the count.
  private func gather(
    _ task: Int, _ x: UnsafePointer<Float>, labels: UnsafePointer<Int64>?,
    weights: UnsafePointer<Float>?, _ memory: UnsafeMutablePointer<Double>,
    _ rows: UnsafeMutablePointer<Float>
  ) {
    let (pivot, sum) = (rows, rows + ChannelRows.padded(channels))
    let square = sum + ChannelRows.padded(channels)
    tasks.clear(task: task, memory)
    tables.forEachRun(in: tasks.pieces.ranges[task], labels: labels, period: weightPeriod) {
      run, table in
      let slot = tasks.slot(memory, task: task, table: table)
      let weight = weights.map { $0[run.lowerBound / weightPeriod!] } ?? 1
      guard weight > 0 else { return }
      let count = slot + 2 * channels
      if count.pointee == 0 {
        pivot.update(from: x + run.lowerBound * channels, count: channels)
      } else {
        for c in 0..<channels { pivot[c] = Float(slot[c]) }
      }
      var first = run.lowerBound
      // The pivot of a first chunk is a single row: a short one, whose mean is the next pivot.
      var size = count.pointee == 0 ? RowReduction.firstRows : RowReduction.chunkRows
      while first < run.upperBound {
        let chunk = min(size, run.upperBound - first)
        loops.moments(x + first * channels, chunk, channels, channels, pivot, sum, square)
        if weight != 1 {
          loops.scale(sum, sum, weight, channels)
          loops.scale(square, square, weight, channels)
        }
        let weighed = Double(chunk) * Double(weight)
        loops.mergeMoments(
          slot, slot + channels, count.pointee, pivot, sum, square, weighed, channels)
        count.pointee += weighed
        first += chunk
        size = RowReduction.chunkRows
      }
    }
  }

  /// Merges one slot into another.
  private func merge(
    _ other: UnsafeMutablePointer<Double>, into slot: UnsafeMutablePointer<Double>
  ) {
    let (before, more) = (slot[2 * channels], other[2 * channels])
    guard more > 0 else { return }
    guard before > 0 else {
      slot.update(from: other, count: tasks.slotCount)
      return
    }
    let total = before + more
    let (share, cross) = (more / total, before * more / total)
    for c in 0..<channels {
      let distance = other[c] - slot[c]
      slot[c] += distance * share
      slot[channels + c] += other[channels + c] + distance * distance * cross
    }
    slot[2 * channels] = total
  }

  /// Merges the slots of a table and writes its cells.
  private func finish(
    _ table: Int, _ memory: UnsafeMutablePointer<Double>,
    into moments: UnsafeMutablePointer<Float>
  ) {
    let total = tasks.total(of: table, memory)
    tasks.forEachSlot(of: table, memory) { slot in
      if slot != total { merge(slot, into: total) }
    }
    write(total, cellRow: table, into: moments)
  }

  /// Merges the tables of each row of cells, in order, and writes them.
  private func mergeCells(
    _ labels: UnsafePointer<Int64>?, _ memory: UnsafeMutablePointer<Double>,
    into moments: UnsafeMutablePointer<Float>
  ) {
    let cells = memory + tasks.slots * tasks.slotCount
    cells.update(repeating: 0, count: tables.cellRows * tasks.slotCount)
    for table in 0..<tables.count {
      let cell = cells + tables.cellRow(of: table, labels: labels) * tasks.slotCount
      tasks.forEachSlot(of: table, memory) { merge($0, into: cell) }
    }
    for cellRow in 0..<tables.cellRows {
      write(cells + cellRow * tasks.slotCount, cellRow: cellRow, into: moments)
    }
  }

  /// Merges the channels of each group and writes the table's row of cells.
  private func write(
    _ slot: UnsafeMutablePointer<Double>, cellRow: Int,
    into moments: UnsafeMutablePointer<Float>
  ) {
    let rows = slot[2 * channels]
    for g in 0..<groups {
      var mean = 0.0
      var deviations = 0.0
      let channels = g * group..<(g + 1) * group
      if group == 1 {
        mean = slot[g]
        deviations = slot[self.channels + g]
      } else {
        // Channels have equal counts: their means weigh the same.
        for c in channels { mean += slot[c] }
        mean /= Double(group)
        for c in channels {
          let distance = slot[c] - mean
          deviations += slot[self.channels + c] + rows * distance * distance
        }
      }
      let cell = cellRow * groups + g
      moments[MomentsLayout.count * cellCount + cell] = Float(rows * Double(group))
      moments[MomentsLayout.mean * cellCount + cell] = Float(mean)
      moments[MomentsLayout.meanResidual * cellCount + cell] = Float(mean - Double(Float(mean)))
      moments[MomentsLayout.squaredDeviations * cellCount + cell] = Float(deviations)
    }
  }
}

/// Rows of one Float per channel, each on a cache line of its own.
internal enum ChannelRows {
  static func padded(_ channels: Int) -> Int { (channels + 15) / 16 * 16 }
}
