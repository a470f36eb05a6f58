internal import CKeelLoops
package import KeelTensor

/// Batch normalization of rows × channels: apply and gradient, each a pass over the data around small
/// per-channel tables.
///
/// y = activation(γ·(x − mean)/√(v + ε) + β + residual), with v the population variance. The mean is
/// subtracted first, as two Floats: scale·x + shift would lose four digits at mean 10⁴ and deviation 0.1.
package struct BatchNormKernel: Sendable {
  let rows: Int
  let channels: Int
  let epsilon: Float
  let activation: Activation?
  private let reduction: RowReduction
  private let tiles: RowTiles

  /// Elements of a task of an apply pass.
  private static let elementsPerTile = 32_768

  /// - Precondition: the activation is ReLU or nil, as `Normalization.checkActivation` says.
  package init(rows: Int, channels: Int, epsilon: Float, activation: Activation?) {
    precondition(
      activation == nil || activation == .relu,
      "batch norm: expected ReLU or no activation, found \(activation!.name)")
    self.rows = rows
    self.channels = channels
    self.epsilon = epsilon
    self.activation = activation
    reduction = RowReduction(rows: rows, channels: channels)
    tiles = RowTiles(rows: rows, target: max(1, Self.elementsPerTile / max(channels, 1)))
  }

  /// The floats of scratch memory for `normalize`.
  package var applyScratchCount: Int { 3 * ChannelTable.padded(channels) }

  /// The floats of scratch memory for `gradient`.
  package func gradientScratchCount(_ parallelism: Parallelism) -> Int {
    6 * ChannelTable.padded(channels) + reduction.scratchCount(parallelism)
  }

  /// Computes y. Aliasing: y may be x or the residual.
  package func normalize(
    _ x: UnsafePointer<Float>, statistics: ChannelStatistics, scale: UnsafePointer<Float>?,
    shift: UnsafePointer<Float>?, residual: UnsafePointer<Float>?,
    into y: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>,
    parallelism: Parallelism
  ) {
    let table = ChannelTable(scratch, channels: channels)
    table.fill(statistics, channels: channels, epsilon: epsilon, scale: scale, shift: shift)
    parallelism.forEach(tiles.count, work: rows * channels) { task, _ in
      let range = tiles[task]
      let offset = range.lowerBound * channels
      loops.normalize(
        y + offset, x + offset, range.count, channels, table.pivot, table.scale, table.shift,
        residual.map { $0 + offset }, activation == .relu ? 1 : 0)
    }
  }

  /// Computes the gradients. With g = dy where the activation was active:
  ///
  /// dShift = Σ g, dScale = Σ g·x̂, dResidual = g, and
  /// dx = γ/s·(g − mean(g) − x̂·mean(g·x̂)) for moments of this batch, dx = γ/s·g for given statistics.
  ///
  /// - Parameters:
  ///   - y: the forward result, where it is what tells the active elements (with a residual); otherwise
  ///     they are recomputed from x.
  ///   - dScale, dShift: nil without an affine recovery.
  ///   - dResidual: nil without a residual.
  package func gradient(
    _ dy: UnsafePointer<Float>, x: UnsafePointer<Float>, y: UnsafePointer<Float>?,
    statistics: ChannelStatistics, scale: UnsafePointer<Float>?, shift: UnsafePointer<Float>?,
    dx: UnsafeMutablePointer<Float>, dScale: UnsafeMutablePointer<Float>?,
    dShift: UnsafeMutablePointer<Float>?, dResidual: UnsafeMutablePointer<Float>?,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let padded = ChannelTable.padded(channels)
    let table = ChannelTable(scratch, channels: channels)
    table.fill(statistics, channels: channels, epsilon: epsilon, scale: scale, shift: shift)
    let mask =
      activation == nil ? KEEL_MASK_NONE : y == nil ? KEEL_MASK_RECOMPUTE : KEEL_MASK_OUTPUT
    let sums = reduce(dy, x, y, table, Int32(mask.rawValue), scratch + 6 * padded, parallelism)
    let (a, b, c) = (scratch + 3 * padded, scratch + 4 * padded, scratch + 5 * padded)
    for channel in 0..<channels {
      let (_, rest) = statistics.mean(channel, of: channels)
      let root = (statistics.variance(channel, of: channels) + Double(epsilon)).squareRoot()
      let sum = sums[channel]
      let product = (sums[channels + channel] - rest * sum) / root
      dScale?[channel] = Float(product)
      dShift?[channel] = Float(sum)
      let factor = Double(scale?[channel] ?? 1) / root
      a[channel] = Float(factor)
      if case .moments = statistics {
        let slope = -factor * product / (Double(rows) * root)
        b[channel] = Float(slope)
        c[channel] = Float(-factor * sum / Double(rows) - slope * rest)
      } else {
        b[channel] = 0
        c[channel] = 0
      }
    }
    parallelism.forEach(tiles.count, work: rows * channels) { task, _ in
      let range = tiles[task]
      let offset = range.lowerBound * channels
      loops.normalizeGradient(
        dx + offset, dResidual.map { $0 + offset }, dy + offset, x + offset,
        y.map { $0 + offset }, range.count, channels, table.pivot, table.scale, table.shift,
        Int32(mask.rawValue), a, b, c)
    }
  }

  /// Σ g and Σ g·(x − pivot) per channel, in Double.
  private func reduce(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>?,
    _ table: ChannelTable, _ mask: Int32, _ scratch: UnsafeMutablePointer<Float>,
    _ parallelism: Parallelism
  ) -> UnsafeMutablePointer<Double> {
    parallelism.forEach(reduction.tasks.count, work: 2 * rows * channels) { task, worker in
      let sums = reduction.table(scratch, task: task)
      let sum = reduction.row(0, scratch, worker: worker)
      let product = reduction.row(1, scratch, worker: worker)
      sums.update(repeating: 0, count: 2 * channels)
      reduction.forEachChunk(of: task) { first, count in
        let offset = first * channels
        loops.normalizeReduce(
          dy + offset, x + offset, y.map { $0 + offset }, count, channels, table.pivot,
          table.scale, table.shift, mask, sum, product)
        loops.accumulate(sums, sum, channels)
        loops.accumulate(sums + channels, product, channels)
      }
    }
    reduction.addTables(scratch)
    return reduction.table(scratch, task: 0)
  }
}
