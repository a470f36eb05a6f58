internal import CKeelLoops
internal import KeelTensor

/// A normalization whose cells lie within one row and whose statistics are those of x: a row is read once
/// and worked on in L1.
internal struct RowNormalization: Sendable {
  private let kernel: NormalizationKernel

  /// - Precondition: cells lie within rows.
  init(_ kernel: NormalizationKernel) { self.kernel = kernel }

  private var tasks: RowPieces { kernel.pieces }
  private var channels: Int { kernel.channels }
  private var padded: Int { ChannelRows.padded(channels) }
  /// γ and β per channel go to every row; those of other extents change with samples or rows.
  private var isPerChannel: Bool { kernel.normalization.recovery.extent == .channels }
  private var hasRecovery: Bool {
    kernel.normalization.hasScale || kernel.normalization.hasShift
  }

  /// The map of the rows from one on: γ and β, or rows of ones and zeros where one is absent.
  private func map(
    from row: Int, _ recovery: RecoveryOperands, _ constants: UnsafeMutablePointer<Float>
  ) -> KeelMap {
    let (offset, stride) = kernel.rowOffset(row)
    guard hasRecovery else { return KeelMap() }
    return KeelMap(
      pivot: nil, scale: nil, shift: nil,
      rowScale: recovery.scale.map { $0 + offset } ?? UnsafePointer(constants),
      rowShift: recovery.shift.map { $0 + offset } ?? UnsafePointer(constants + padded),
      scaleStride: recovery.scale == nil ? 0 : stride,
      shiftStride: recovery.shift == nil ? 0 : stride)
  }

  private func fillConstants(_ constants: UnsafeMutablePointer<Float>) {
    constants.update(repeating: 1, count: channels)
    (constants + padded).update(repeating: 0, count: channels)
  }

  /// Calls a closure with the runs of a piece over which γ and β advance evenly.
  private func forEachRun(of pieces: RowPieces, _ piece: Int, _ body: (Range<Int>) -> Void) {
    let period: Int
    switch kernel.normalization.recovery.extent {
    case .channels, .positions: period = max(kernel.rows, 1)
    case .samples, .elements: period = max(kernel.positions, 1)
    }
    pieces.forEachRange(of: piece) { range in
      var first = range.lowerBound
      while first < range.upperBound {
        let end = min(range.upperBound, (first / period + 1) * period)
        body(first..<end)
        first = end
      }
    }
  }

  func run(
    _ x: UnsafePointer<Float>, _ recovery: RecoveryOperands, residual: UnsafePointer<Float>?,
    into y: UnsafeMutablePointer<Float>, moments: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    fillConstants(scratch)
    let cells = kernel.cellCount
    let streams = LargeResult.streams(kernel.rows * channels, y, over: x, and: residual)
    parallelism.forEach(tasks.count, work: 3 * kernel.rows * channels) { task, _ in
      forEachRun(of: tasks, task) { run in
        let at = run.lowerBound * channels
        let cell = moments + run.lowerBound * kernel.groups
        withUnsafePointer(to: kernel.operation) { operation in
          withUnsafePointer(to: map(from: run.lowerBound, recovery, scratch)) { map in
            loops.normalizeRows(
              operation, map, y + at, x + at, run.count, channels, kernel.group,
              residual.map { $0 + at }, kernel.isReLU ? 1 : 0,
              cell + MomentsLayout.count * cells, cell + MomentsLayout.mean * cells,
              cell + MomentsLayout.meanResidual * cells,
              cell + MomentsLayout.squaredDeviations * cells, streams)
          }
        }
      }
    }
  }

  // MARK: Gradient

  /// Floats of a worker: the row that is kept, and rows of dγ and dβ, or for what nobody wants.
  private var workerCount: Int { 3 * padded }

  func gradientScratchCount(_ parallelism: Parallelism) -> Int {
    2 * padded + workerCount * parallelism.threadCount
      + (isPerChannel && hasRecovery ? 4 * channels * tasks.count : 0)
  }

  func gradient(
    _ dy: UnsafePointer<Float>, x: UnsafePointer<Float>, y: UnsafePointer<Float>?, mask: Int32,
    _ statistics: CellStatistics, _ recovery: RecoveryOperands, into to: NormalizationGradients,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    fillConstants(scratch)
    let workers = scratch + 2 * padded
    let sums = UnsafeMutableRawPointer(workers + workerCount * parallelism.threadCount)
      .assumingMemoryBound(to: Double.self)
    let moments = statistics.pointers(cells: kernel.cellCount)
    let streams = LargeResult.streams(kernel.rows * channels, to.dx, over: x, and: dy)
    let wantsAffine = to.dScale != nil || to.dShift != nil
    func call(
      _ run: Range<Int>, _ kept: UnsafeMutablePointer<Float>,
      _ dScale: UnsafeMutablePointer<Float>?, _ dShift: UnsafeMutablePointer<Float>?
    ) {
      let at = run.lowerBound * channels
      withUnsafePointer(to: kernel.operation) { operation in
        withUnsafePointer(to: map(from: run.lowerBound, recovery, scratch)) { map in
          withUnsafePointer(to: moments) { moments in
            loops.normalizeRowsGradient(
              operation, map, to.dx + at, to.dResidual.map { $0 + at }, dy + at, x + at,
              y.map { $0 + at }, run.count, channels, kernel.group, mask, moments,
              run.lowerBound * kernel.groups, dScale, dShift, kept, streams)
          }
        }
      }
    }
    let work = 4 * kernel.rows * channels
    guard wantsAffine, !isPerChannel else {
      parallelism.forEach(tasks.count, work: work) { task, index in
        let kept = workers + index * workerCount
        guard wantsAffine else { return forEachRun(of: tasks, task) { call($0, kept, nil, nil) } }
        let slot = sums + task * 2 * channels
        slot.update(repeating: 0, count: 2 * channels)
        var first = tasks.ranges[task].lowerBound
        while first < tasks.ranges[task].upperBound {
          let end = min(first + RowReduction.chunkRows, tasks.ranges[task].upperBound)
          let (dScale, dShift) = (kept + padded, kept + 2 * padded)
          dScale.update(repeating: 0, count: channels)
          dShift.update(repeating: 0, count: channels)
          call(first..<end, kept, dScale, dShift)
          loops.accumulate(slot, dScale, channels)
          loops.accumulate(slot + channels, dShift, channels)
          first = end
        }
      }
      if wantsAffine { addSums(sums, to) }
      return
    }
    to.dScale?.update(repeating: 0, count: kernel.affineCount)
    to.dShift?.update(repeating: 0, count: kernel.affineCount)
    let owners = kernel.owningPieces ?? tasks
    parallelism.forEach(owners.count, work: work) { owner, index in
      let kept = workers + index * workerCount
      forEachRun(of: owners, owner) { run in
        let offset = kernel.rowOffset(run.lowerBound).offset
        call(
          run, kept, to.dScale.map { $0 + offset } ?? kept + padded,
          to.dShift.map { $0 + offset } ?? kept + 2 * padded)
      }
    }
  }

  private func addSums(_ sums: UnsafeMutablePointer<Double>, _ to: NormalizationGradients) {
    for task in 1..<max(tasks.count, 1) {
      for i in 0..<2 * channels { sums[i] += sums[task * 2 * channels + i] }
    }
    for c in 0..<channels {
      to.dScale?[c] = Float(sums[c])
      to.dShift?[c] = Float(sums[channels + c])
    }
  }
}
