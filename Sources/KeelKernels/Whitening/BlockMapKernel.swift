internal import CKeelLoops
package import KeelTensor

/// A matrix for each block of channels: y = (x − centre)·matrix + shift.
///
/// The centre is subtracted first, in two steps; products in Float. Cost: one read of x, one write of y, and
/// rows·C·d multiply-adds.
package struct BlockMapKernel: Sendable {
  private let map: BlockMap
  private let at: BlockRows

  /// Prepares for a tensor of this shape.
  package init(_ map: BlockMap, of shape: Shape) {
    self.map = map
    at = BlockRows(map.blocks, of: shape)
  }

  private var workerCount: Int { BlockRows.rowsAtOnce * at.paddedSize }

  /// The floats of scratch memory.
  package func scratchCount(_ parallelism: Parallelism) -> Int {
    at.cells * at.packedCount + parallelism.threadCount * workerCount
  }

  /// - Parameters:
  ///   - centre: 2 × cells × C.
  ///   - matrix: d × cells × C.
  ///   - shift: C, or cells × C, as the map says.
  package func run(
    _ x: UnsafePointer<Float>, centre: UnsafePointer<Float>?, _ matrix: UnsafePointer<Float>,
    shift: UnsafePointer<Float>?, into y: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let workers = scratch + at.cells * at.packedCount
    parallelism.forEach(at.cells * at.blockCount, work: 2 * at.cells * at.packedCount) { task, _ in
      let (cell, block) = (task / at.blockCount, task % at.blockCount)
      let range = at.range(of: block)
      BlockRows.pack(
        matrix + cell * at.channels + range.lowerBound, order: range.count, kStep: at.tableStep,
        columnStep: 1,
        into: scratch + cell * at.packedCount + block * at.blocks.size * at.paddedSize)
    }
    parallelism.forEach(at.cells * at.tiles.count, work: at.work) { tile, worker in
      let cell = tile / at.tiles.count
      let panel = workers + worker * workerCount
      at.forEachTile(in: at.tiles[tile % at.tiles.count]) { first, count in
        let start = (cell * at.rows + first) * at.channels
        for block in 0..<at.blockCount {
          let range = at.range(of: block)
          let high = centre.map { $0 + cell * at.channels + range.lowerBound }
          loops.centerRows(
            panel, x + start + range.lowerBound, count, at.channels, range.count, high,
            high.map { $0 + at.tableStep })
          BlockRows.multiply(
            y + start + range.lowerBound, yStep: at.channels, panel,
            xStep: BlockRows.padded(range.count), rows: count,
            scratch + cell * at.packedCount + block * at.blocks.size * at.paddedSize,
            order: range.count)
        }
        if let shift {
          let own = map.shift == .cells ? cell * at.channels : 0
          loops.epilogue(y + start, count, at.channels, at.channels, shift + own, nil, 0)
        }
      }
    }
  }
}

/// The gradients of a block map, in one pass over dy and x:
///
///     dx = dy·matrixᵀ,    dMatrix[j, c] = Σ dy_c·(x_j − centre_j),    dShift = Σ dy,
///     dCentre = −matrix·Σ dy
///
/// Products in Float over at most 96 rows, added up in Double. Cost: 2·rows·C·d multiply-adds.
package struct BlockMapGradientKernel: Sendable {
  private let map: BlockMap
  private let at: BlockRows

  /// Prepares for a tensor of this shape.
  package init(_ map: BlockMap, of shape: Shape) {
    self.map = map
    at = BlockRows(map.blocks, of: shape)
  }

  private var partsCount: Int { at.cells * at.parts.count }
  /// Doubles of a part: for each block its matrix, then the sums of dy.
  private var partCount: Int { at.packedCount + at.channels }
  /// Panels of x and dy, sums of a tile, and addresses of rows of both.
  private var workerCount: Int {
    2 * BlockRows.rowsAtOnce * at.paddedSize + at.blocks.size * at.paddedSize
      + max(at.paddedSize, at.channels) + 4 * BlockRows.rowsAtOnce
  }

  /// The floats of scratch memory.
  package func scratchCount(_ parallelism: Parallelism) -> Int {
    2 * partsCount * partCount + at.cells * at.packedCount
      + parallelism.threadCount * (workerCount + 16)
  }

  /// Where results go.
  package struct Results {
    package var dx: UnsafeMutablePointer<Float>
    package var dCentre: UnsafeMutablePointer<Float>?
    package var dMatrix: UnsafeMutablePointer<Float>
    package var dShift: UnsafeMutablePointer<Float>?

    package init(
      dx: UnsafeMutablePointer<Float>, dCentre: UnsafeMutablePointer<Float>?,
      dMatrix: UnsafeMutablePointer<Float>, dShift: UnsafeMutablePointer<Float>?
    ) {
      self.dx = dx
      self.dCentre = dCentre
      self.dMatrix = dMatrix
      self.dShift = dShift
    }
  }

  /// The operands are those of `BlockMapKernel`, and dy.
  package func run(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, centre: UnsafePointer<Float>?,
    _ matrix: UnsafePointer<Float>, into results: Results, scratch: UnsafeMutablePointer<Float>,
    parallelism: Parallelism
  ) {
    let parts = UnsafeMutableRawPointer(scratch).assumingMemoryBound(to: Double.self)
    let packed = scratch + 2 * partsCount * partCount
    let workers = packed + at.cells * at.packedCount
    parallelism.forEach(at.cells * at.blockCount, work: 2 * at.cells * at.packedCount) { task, _ in
      let (cell, block) = (task / at.blockCount, task % at.blockCount)
      let range = at.range(of: block)
      BlockRows.pack(
        matrix + cell * at.channels + range.lowerBound, order: range.count, kStep: 1,
        columnStep: at.tableStep,
        into: packed + cell * at.packedCount + block * at.blocks.size * at.paddedSize)
    }
    parallelism.forEach(partsCount, work: 2 * at.work) { part, worker in
      gather(
        part, dy, x, centre, packed, results.dx, parts + part * partCount,
        workers + worker * (workerCount + 16))
    }
    parallelism.forEach(at.cells * at.blockCount, work: partsCount * partCount) { task, _ in
      merge(task / at.blockCount, task % at.blockCount, parts, matrix, results)
    }
    if map.shift == .channels, let dShift = results.dShift {
      for c in 0..<at.channels {
        var sum = 0.0
        for cell in 0..<at.cells {
          sum += parts[cell * at.parts.count * partCount + at.packedCount + c]
        }
        dShift[c] = Float(sum)
      }
    }
  }

  private func gather(
    _ part: Int, _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>,
    _ centre: UnsafePointer<Float>?, _ packed: UnsafePointer<Float>,
    _ dx: UnsafeMutablePointer<Float>, _ sums: UnsafeMutablePointer<Double>,
    _ memory: UnsafeMutablePointer<Float>
  ) {
    let cell = part / at.parts.count
    sums.update(repeating: 0, count: partCount)
    let gradients = memory + BlockRows.rowsAtOnce * at.paddedSize
    let tile = gradients + BlockRows.rowsAtOnce * at.paddedSize
    let total = tile + at.blocks.size * at.paddedSize
    let addresses = UnsafeMutableRawPointer(
      bitPattern: (Int(bitPattern: total + max(at.paddedSize, at.channels)) + 63) & ~63)!
      .assumingMemoryBound(to: UnsafePointer<Float>?.self)
    at.forEachTile(in: at.parts[part % at.parts.count]) { first, count in
      let start = (cell * at.rows + first) * at.channels
      for block in 0..<at.blockCount {
        let range = at.range(of: block)
        let padded = BlockRows.padded(range.count)
        let high = centre.map { $0 + cell * at.channels + range.lowerBound }
        loops.centerRows(
          memory, x + start + range.lowerBound, count, at.channels, range.count, high,
          high.map { $0 + at.tableStep })
        loops.centerRows(
          gradients, dy + start + range.lowerBound, count, at.channels, range.count, nil, nil)
        for row in 0..<count {
          addresses[row] = UnsafePointer(memory + row * padded)
          addresses[BlockRows.rowsAtOnce + row] = UnsafePointer(gradients + row * padded)
        }
        let panel = loops.panel * loops.width
        for column in stride(from: 0, to: range.count, by: panel) {
          loops.windowGradient(
            tile + column, padded, addresses, 0, addresses + BlockRows.rowsAtOnce, column, count,
            range.count, min(panel, padded - column), 0, 0, 0)
        }
        let own = sums + block * at.blocks.size * at.paddedSize
        loops.accumulate(own, tile, range.count * padded)
        BlockRows.multiply(
          dx + start + range.lowerBound, yStep: at.channels, gradients, xStep: padded, rows: count,
          packed + cell * at.packedCount + block * at.blocks.size * at.paddedSize,
          order: range.count)
      }
      loops.foldRows(
        Int32(KEEL_SUM), total, dy + start, count, at.channels, at.channels)
      loops.accumulate(sums + at.packedCount, total, at.channels)
    }
  }

  private func merge(
    _ cell: Int, _ block: Int, _ parts: UnsafeMutablePointer<Double>,
    _ matrix: UnsafePointer<Float>, _ results: Results
  ) {
    let range = at.range(of: block)
    let padded = BlockRows.padded(range.count)
    let first = parts + cell * at.parts.count * partCount
    let own = first + block * at.blocks.size * at.paddedSize
    let sums = first + at.packedCount + range.lowerBound
    for part in 1..<max(1, at.parts.count) {
      for i in 0..<range.count * padded { own[i] += own[part * partCount + i] }
      for c in 0..<range.count { sums[c] += sums[part * partCount + c] }
    }
    let start = cell * at.channels + range.lowerBound
    for j in 0..<at.blocks.size {
      for c in 0..<range.count {
        results.dMatrix[j * at.tableStep + start + c] =
          j < range.count ? Float(own[j * padded + c]) : 0
      }
    }
    if let dCentre = results.dCentre {
      for j in 0..<range.count {
        var sum = 0.0
        for c in 0..<range.count { sum -= Double(matrix[j * at.tableStep + start + c]) * sums[c] }
        dCentre[start + j] = Float(sum)
        dCentre[at.tableStep + start + j] = Float(sum)
      }
    }
    if map.shift == .cells, let dShift = results.dShift {
      for c in 0..<range.count { dShift[start + c] = Float(sums[c]) }
    }
  }
}
