internal import CKeelLoops
package import KeelTensor

/// The gradients of a block map, in one pass over dy and x:
///
///     dx = dy·matrixᵀ,    dMatrix[j, c] = Σ dy_c·(x_j − centre_j),    dShift = Σ dy,
///     dCentre = −matrix·Σ dy
///
/// dx only where it is asked for. Products in Float over at most 192 rows, added up in Double. Cost: 2·rows·C·d multiply-adds.
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
  /// Tiles of x and dy, sums in Float, and addresses of rows of the first two.
  private var workerCount: Int {
    2 * at.tileCount + at.packedCount + at.paddedChannels + 4 * at.rowsAtOnce
  }

  /// The floats of scratch memory.
  package func scratchCount(_ parallelism: Parallelism) -> Int {
    2 * partsCount * partCount + at.cells * at.packedCount
      + parallelism.threadCount * (workerCount + 16)
  }

  /// Where results go.
  package struct Results {
    package var dx: UnsafeMutablePointer<Float>?
    package var dCentre: UnsafeMutablePointer<Float>?
    package var dMatrix: UnsafeMutablePointer<Float>
    package var dShift: UnsafeMutablePointer<Float>?

    package init(
      dx: UnsafeMutablePointer<Float>?, dCentre: UnsafeMutablePointer<Float>?,
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
    if results.dx != nil {
      parallelism.forEach(at.cells * at.blockCount, work: 2 * at.cells * at.packedCount) {
        task, _ in
        let (cell, block) = (task / at.blockCount, task % at.blockCount)
        at.pack(
          matrix + cell * at.channels + at.range(of: block).lowerBound, block, kStep: 1,
          columnStep: at.tableStep, into: packed + cell * at.packedCount)
      }
    }
    let streams = results.dx.map { LargeResult.streams(at.elementCount, $0, over: x) } ?? 0
    parallelism.forEach(partsCount, work: 2 * at.work) { part, worker in
      gather(
        part, dy, x, centre, packed, results.dx, parts + part * partCount,
        workers + worker * (workerCount + 16), streams)
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
    _ dx: UnsafeMutablePointer<Float>?, _ sums: UnsafeMutablePointer<Double>,
    _ memory: UnsafeMutablePointer<Float>, _ streams: Int32
  ) {
    let cell = part / at.parts.count
    sums.update(repeating: 0, count: partCount)
    let gradients = memory + at.tileCount
    let floats = gradients + at.tileCount
    let total = floats + at.packedCount
    let addresses = UnsafeMutableRawPointer(
      bitPattern: (Int(bitPattern: total + at.paddedChannels) + 63) & ~63)!
      .assumingMemoryBound(to: UnsafePointer<Float>?.self)
    for row in 0..<at.rowsAtOnce {
      addresses[row] = UnsafePointer(memory + row * at.paddedChannels)
    }
    // Rows of whole vectors are used where they lie.
    let copies = at.channels != at.paddedChannels
    let high = centre.map { $0 + cell * at.channels }
    var added = 0
    at.forEachTile(in: at.parts[part % at.parts.count]) { first, count in
      let start = (cell * at.rows + first) * at.channels
      loops.centerRows(
        memory, x + start, count, at.channels, at.channels, high, high.map { $0 + at.tableStep })
      if copies {
        loops.centerRows(gradients, dy + start, count, at.channels, at.channels, nil, nil)
      }
      let own = copies ? UnsafePointer(gradients) : dy + start
      for row in 0..<count { addresses[at.rowsAtOnce + row] = own + row * at.paddedChannels }
      addProducts(addresses, count, into: floats, isFirst: added == 0) {
        at.fetch(x, $0, of: cell, from: first + count)
        if dx == nil { at.fetch(dy, $0, of: cell, from: first + count) }
      }
      added += count
      if added + at.rowsAtOnce > Self.mostFloatRows {
        loops.accumulate(sums, floats, at.packedCount)
        added = 0
      }
      if let dx {
        at.multiply(
          own, packed + cell * at.packedCount, rows: count, into: dx + start, streams: streams,
          near: at.near(dy, of: cell, from: first + count))
      }
      loops.foldRows(
        Int32(KEEL_SUM), total, own, count, at.paddedChannels, at.channels)
      loops.accumulate(sums + at.packedCount, total, at.channels)
    }
    if added > 0 { loops.accumulate(sums, floats, at.packedCount) }
  }

  /// Rows of a matrix between two shares.
  private static let rowsOfShare = 24
  /// The most rows that are added up in Float.
  private static let mostFloatRows = 192

  /// The products of the tiles' rows for each block, d×d in rows of whole vectors.
  private func addProducts(
    _ addresses: UnsafePointer<UnsafePointer<Float>?>, _ count: Int,
    into floats: UnsafeMutablePointer<Float>, isFirst: Bool, meanwhile: (BlockRows.Share) -> Void
  ) {
    let panel = loops.panel * loops.width
    let parts = (at.blocks.size + Self.rowsOfShare - 1) / Self.rowsOfShare
    for block in 0..<at.blockCount {
      let range = at.range(of: block)
      let own = floats + block * at.blocks.size * at.paddedSize
      let padded = BlockRows.padded(range.count)
      for part in 0..<parts where part * Self.rowsOfShare < range.count {
        meanwhile(.init(part: block * parts + part, count: at.blockCount * parts))
        let row = part * Self.rowsOfShare
        for column in stride(from: 0, to: range.count, by: panel) {
          loops.windowGradient(
            own + row * padded + column, padded, addresses, range.lowerBound + row,
            addresses + at.rowsAtOnce, range.lowerBound + column, count,
            min(Self.rowsOfShare, range.count - row), min(panel, range.count - column),
            isFirst ? 0 : 1, 0, 0)
        }
      }
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
