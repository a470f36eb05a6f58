internal import CKeelLoops
package import KeelTensor

/// A normalization of rows × channels: y = f(γ·(x − c)/s + β + residual), for any partition, operation and
/// recovery of the algebra.
///
/// Moments per cell, a map z = scale·(x − pivot) + shift per table and channel, and a pass that applies it.
/// The mean is subtracted first, as two Floats: scale·x + shift would lose four digits at mean 10⁴ and
/// deviation 0.1. Where cells lie within samples, one thread takes a sample (or a few that share γ and β of
/// elements) from moments to result while it is in its cache; cells within rows are another kernel's.
package struct NormalizationKernel: Sendable {
  let normalization: Normalization
  let shape: Shape
  let channels: Int
  let operation: KeelOperation
  let tables: RowTables
  let moments: MomentsKernel
  /// The tasks of a pass over x.
  let pieces: RowPieces
  /// Pieces that own the elements of γ and β that their rows use; nil where rows own theirs, or all share.
  let owningPieces: RowPieces?
  /// How the sums of the gradient are cut.
  let gradientTasks: TableTasks
  /// Channels of a cell, and cells of a row of them.
  let group: Int, groups: Int
  /// Floats from one row of x, of the result and of the residual to the next.
  private let inputStride: Int, outputStride: Int, residualStride: Int
  /// The elements of γ or β.
  let affineCount: Int

  /// Elements of a task of a pass over x.
  private static let elementsPerPiece = 32_768
  /// Elements of a part of a fused table that is passed over at once, from the end on.
  private static let elementsPerPart = 16_384
  /// Elements of γ that are kept near while samples go past.
  private static let elementsPerTile = 4096
  /// Elements of the samples that share a pass over γ and β.
  private static let elementsPerBlock = 1 << 19

  /// - Parameters:
  ///   - inputStride: floats from one row of x to the next, where rows are slices of larger ones; only for
  ///     statistics that are given, and for `run`.
  ///   - outputStride: likewise of the result.
  ///   - residualStride: likewise of the residual.
  /// - Precondition: the activation is ReLU or nil, as `Normalization.checkActivation` says.
  package init(
    _ normalization: Normalization, of shape: Shape, labelsPerPosition: Bool = false,
    inputStride: Int? = nil, outputStride: Int? = nil, residualStride: Int? = nil
  ) {
    precondition(
      normalization.epilogue.activation == nil || normalization.epilogue.activation == .relu,
      "normalization: expected ReLU or no activation, found \(normalization.epilogue)")
    self.normalization = normalization
    self.shape = shape
    channels = shape.channelCount
    self.inputStride = inputStride ?? channels
    self.outputStride = outputStride ?? channels
    self.residualStride = residualStride ?? channels
    operation = KeelOperation(normalization.operation)
    let partition = normalization.partition
    tables = RowTables(
      partition, of: shape, bySample: normalization.recovery.extent == .samples,
      labelsPerPosition: labelsPerPosition)
    moments = MomentsKernel(tables, partition, of: shape)
    group = moments.group
    groups = moments.groups
    affineCount = normalization.recovery.operandExtents(of: shape.extents).reduce(1, *)
    let plain = RowPieces(
      rows: shape.rowCount, target: max(1, Self.elementsPerPiece / max(channels, 1)))
    switch normalization.recovery.extent {
    case .channels, .positions: (pieces, owningPieces) = (plain, nil)
    case .samples: (pieces, owningPieces) = (plain, Self.samplePieces(shape, tables))
    case .elements:
      pieces = Self.elementPieces(shape)
      owningPieces = pieces
    }
    let byRow = Self.recoversByRow(normalization, tables)
    gradientTasks =
      if byRow, let owningPieces {
        TableTasks(tables, channels: channels, pieces: owningPieces)
      } else {
        moments.tasks
      }
  }

  /// Whole samples: as many in a piece as bound the memory of the tables' sums.
  private static func samplePieces(_ shape: Shape, _ tables: RowTables) -> RowPieces {
    let mostPieces = max(
      1, TableTasks.mostDoubles / (2 * max(1, shape.channelCount * tables.count)))
    let samples = RowTiles(rows: shape[0], target: (shape[0] + mostPieces - 1) / mostPieces)
    let positions = shape.rowCount / max(shape[0], 1)
    return RowPieces(
      (0..<samples.count).map {
        samples[$0].lowerBound * positions..<samples[$0].upperBound * positions
      })
  }

  /// Positions of every sample: γ and β of elements are read, and their gradients summed, in a cache.
  private static func elementPieces(_ shape: Shape) -> RowPieces {
    RowPieces(
      positions: shape.rowCount / max(shape[0], 1), samples: shape[0],
      target: max(16, elementsPerTile / max(shape.channelCount, 1)))
  }

  /// The number of cells.
  package var cellCount: Int { moments.cellCount }
  var rows: Int { shape.rowCount }
  /// The rows of a sample.
  var positions: Int { rows / max(shape[0], 1) }
  var isReLU: Bool { normalization.epilogue.activation == .relu }

  /// Whether scale and shift change within a table, row by row.
  var recoversByRow: Bool { Self.recoversByRow(normalization, tables) }

  private static func recoversByRow(_ normalization: Normalization, _ tables: RowTables) -> Bool {
    switch normalization.recovery.extent {
    case .channels: false
    case .samples: !tables.areContiguous
    case .elements, .positions: true
    }
  }

  /// Whether one thread takes a table from its moments to its result.
  func isFused(_ parallelism: Parallelism) -> Bool {
    normalization.statistics == .current && tables.areContiguous && tables.haveOwnCells
      && tables.count >= parallelism.threadCount
  }

  // MARK: Maps

  /// Floats of the map of one table: pivot, scale and shift per channel.
  var mapCount: Int { 3 * ChannelRows.padded(channels) }
  /// Floats a worker needs to fill one: a pivot, and two Doubles per cell.
  var fillCount: Int { 5 * ChannelRows.padded(groups) }
  /// Rows of ones and zeros, in place of a scale or shift that is absent row by row.
  var constantCount: Int { recoversByRow ? 2 * ChannelRows.padded(channels) : 0 }

  /// The map of a table.
  func map(_ memory: UnsafeMutablePointer<Float>) -> KeelMap {
    let padded = ChannelRows.padded(channels)
    return KeelMap(
      pivot: memory, scale: memory + padded, shift: memory + 2 * padded, rowScale: nil,
      rowShift: nil, scaleStride: 0, shiftStride: 0)
  }

  /// Fills the map of a table: pivot, scale = γ/s, shift = β + γ·offset, computed in Double; with a recovery
  /// row by row without γ and β.
  func fill(
    _ memory: UnsafeMutablePointer<Float>, table: Int, _ statistics: KeelMoments,
    _ recovery: RecoveryOperands, _ worker: UnsafeMutablePointer<Float>
  ) {
    let padded = ChannelRows.padded(channels)
    let inverse = UnsafeMutableRawPointer(worker).assumingMemoryBound(to: Double.self)
    let offset = inverse + ChannelRows.padded(groups)
    let pivot = worker + 4 * ChannelRows.padded(groups)
    let cellRow = tables.cellRow(of: table, labels: recovery.labels)
    withUnsafePointer(to: operation) { operation in
      withUnsafePointer(to: statistics) { statistics in
        loops.cellMaps(
          operation, statistics, cellRow * groups, groups, pivot, inverse, offset)
      }
    }
    let (scale, shift) = recoversByRow ? (nil, nil) : tableRecovery(table, recovery)
    for g in 0..<groups {
      for c in g * group..<(g + 1) * group {
        let gamma = Double(scale?[c] ?? 1)
        memory[c] = pivot[g]
        memory[padded + c] = Float(gamma * inverse[g])
        memory[2 * padded + c] = Float(Double(shift?[c] ?? 0) + gamma * offset[g])
      }
    }
  }

  /// γ and β of a table.
  func tableRecovery(_ table: Int, _ recovery: RecoveryOperands) -> (
    scale: UnsafePointer<Float>?, shift: UnsafePointer<Float>?
  ) {
    guard normalization.recovery.extent == .samples else {
      return (recovery.scale, recovery.shift)
    }
    let at = tables.rows(of: table).lowerBound / max(positions, 1) * channels
    return (recovery.scale.map { $0 + at }, recovery.shift.map { $0 + at })
  }

  /// Where the γ and β of a row stand, and how far apart those of neighbours are.
  func rowOffset(_ row: Int) -> (offset: Int, stride: Int) {
    switch normalization.recovery.extent {
    case .channels: (0, 0)
    case .samples: (row / max(positions, 1) * channels, 0)
    case .elements: (row % max(positions, 1) * channels, channels)
    case .positions: (row * channels, channels)
    }
  }

  /// The map with γ and β of the rows from `row` on.
  func map(
    _ memory: UnsafeMutablePointer<Float>, from row: Int, _ recovery: RecoveryOperands,
    constants: UnsafeMutablePointer<Float>
  ) -> KeelMap {
    var map = map(memory)
    guard recoversByRow else { return map }
    let (offset, stride) = rowOffset(row)
    map.rowScale = recovery.scale.map { $0 + offset } ?? UnsafePointer(constants)
    map.scaleStride = recovery.scale == nil ? 0 : stride
    map.rowShift =
      recovery.shift.map { $0 + offset }
      ?? UnsafePointer(constants + ChannelRows.padded(channels))
    map.shiftStride = recovery.shift == nil ? 0 : stride
    return map
  }

  func fillConstants(_ constants: UnsafeMutablePointer<Float>) {
    guard recoversByRow else { return }
    constants.update(repeating: 1, count: channels)
    (constants + ChannelRows.padded(channels)).update(repeating: 0, count: channels)
  }

  /// Rows at whose multiples γ and β start anew.
  var period: Int? {
    recoversByRow && normalization.recovery.extent != .positions ? max(positions, 1) : nil
  }

  // MARK: Forward

  /// Whether each cell lies within a row and the statistics are those of x.
  var isWithinRows: Bool {
    guard normalization.statistics == .current, tables.haveOwnCells else { return false }
    if case .equal(rows: 1) = tables.form { return true } else { return false }
  }
  /// The tables that a worker of a fused pass takes from moments to result at a time.
  private var blockCount: Int {
    guard normalization.recovery.extent == .elements, case .equal(rows: positions) = tables.form
    else { return 1 }
    return max(1, min(8, Self.elementsPerBlock / max(1, positions * channels)))
  }

  /// Floats of a worker: the maps of a block of tables, and what filling them needs.
  private var workerCount: Int { blockCount * mapCount + fillCount }

  /// The floats of scratch memory for `run`.
  package func scratchCount(_ parallelism: Parallelism) -> Int {
    if isWithinRows { return 2 * ChannelRows.padded(channels) }
    let worker = workerCount * parallelism.threadCount
    let maps = isFused(parallelism) ? 0 : tables.count * mapCount
    return constantCount + worker
      + max(normalization.statistics == .current ? moments.scratchCount(parallelism) : 0, maps)
  }

  /// Computes y, and with statistics `current` the moments. Aliasing: y may be x or the residual.
  /// - Parameters:
  ///   - given: the statistics where they are not those of x.
  ///   - newMoments: 4 × cells, for statistics `current`.
  package func run(
    _ x: UnsafePointer<Float>, given: CellStatistics?, recovery: RecoveryOperands,
    residual: UnsafePointer<Float>?, into y: UnsafeMutablePointer<Float>,
    newMoments: UnsafeMutablePointer<Float>?, scratch: UnsafeMutablePointer<Float>,
    parallelism: Parallelism
  ) {
    if isWithinRows {
      RowNormalization(self).run(
        x, recovery, residual: residual, into: y, moments: newMoments!, scratch: scratch,
        parallelism: parallelism)
      return
    }
    let statistics = (given ?? .moments(newMoments!)).pointers(cells: cellCount)
    let constants = scratch
    let workers = constants + constantCount
    let rest = workers + workerCount * parallelism.threadCount
    fillConstants(constants)
    func fillMemory(_ worker: Int) -> UnsafeMutablePointer<Float> {
      workers + worker * workerCount + blockCount * mapCount
    }
    if isFused(parallelism) {
      let blocks = RowTiles(rows: tables.count, target: blockCount)
      parallelism.forEach(blocks.count, work: 2 * rows * channels) { task, worker in
        let block = blocks[task]
        let maps = workers + worker * workerCount - block.lowerBound * mapCount
        for table in block {
          moments.run(table: table, x, into: newMoments!, scratch: rest, worker: worker)
          fill(maps + table * mapCount, table: table, statistics, recovery, fillMemory(worker))
        }
        forEachPart(of: block) { apply($0, x, recovery, residual, y, constants, maps) }
      }
      return
    }
    if normalization.statistics == .current {
      moments.run(
        x, labels: recovery.labels, into: newMoments!, scratch: rest, parallelism: parallelism)
    }
    parallelism.forEach(tables.count, work: tables.count * channels * 16) { table, worker in
      fill(rest + table * mapCount, table: table, statistics, recovery, fillMemory(worker))
    }
    // From the end on: what the moments have read last is still near.
    parallelism.forEach(pieces.count, work: rows * channels) { task, _ in
      pieces.forEachRange(of: pieces.count - 1 - task, fromEnd: true) {
        apply($0, x, recovery, residual, y, constants, rest)
      }
    }
  }

  /// Calls a closure with parts of contiguous tables from the end on: what was read last is still near. The
  /// tables of a block are samples, and a part goes past all of them.
  func forEachPart(of block: Range<Int>, _ body: (Range<Int>) -> Void) {
    let rows = tables.rows(of: block.lowerBound)
    let target = blockCount == 1 ? Self.elementsPerPart : Self.elementsPerTile
    let parts = RowTiles(rows: rows.count, target: max(1, target / max(channels, 1)))
    for part in stride(from: parts.count - 1, through: 0, by: -1) {
      for table in block.reversed() {
        let first = tables.rows(of: table).lowerBound
        body(first + parts[part].lowerBound..<first + parts[part].upperBound)
      }
    }
  }

  /// Applies the maps to the rows of a range.
  private func apply(
    _ range: Range<Int>, _ x: UnsafePointer<Float>, _ recovery: RecoveryOperands,
    _ residual: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>,
    _ constants: UnsafeMutablePointer<Float>, _ maps: UnsafeMutablePointer<Float>
  ) {
    tables.forEachRun(in: range, labels: recovery.labels, period: period) { run, table in
      let first = run.lowerBound
      let map = map(maps + table * mapCount, from: first, recovery, constants: constants)
      withUnsafePointer(to: map) { map in
        loops.normalize(
          map, y + first * outputStride, outputStride, x + first * inputStride, inputStride,
          run.count, channels, residual.map { $0 + first * residualStride }, residualStride,
          isReLU ? 1 : 0,
          LargeResult.streams(rows * channels, y, over: x, and: residual))
      }
    }
  }
}
