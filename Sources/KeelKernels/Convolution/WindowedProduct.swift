internal import CKeelLoops
internal import KeelTensor

/// The engine behind im2col convolutions: for each tile of output pixels,
/// gather the windows into a block that stays in L2, multiply it with the packed weight, finish the
/// tile (bias, residual, activation) before it leaves the cache. The whole column matrix never exists.
///
/// Per group: A = gathered tile, rows × K (M = pixels of the tile, K = taps × channels per group),
/// B = packed weight, K × N (N = output channels per group).
internal struct WindowedProduct: Sendable {
  let batch: Int
  let groups: Int
  let outputsPerGroup: Int
  let sourceStride: Int, resultStride: Int
  let inputsPerGroup: Int
  let phases: [Phase]
  struct Phase: Sendable {
    let geometry: WindowPhase
    let product: PackedProduct
    let tiles: RowTiles
    /// Panels per task: few rows of many channels are cut along the channels too.
    let panelsPerTask: Int
    /// Where the phase's packed weight starts: groups follow each other.
    let packedOffset: Int
    /// Whether the source itself is A.
    let readsSource: Bool

    var panelTasks: Int { (product.panelCount + panelsPerTask - 1) / panelsPerTask }
  }

  /// The most floats of a gathered tile: a quarter of a common L2, so that the weight's panel and the
  /// result fit beside it.
  static let tileLimit = 196_608

  init(
    batch: Int, groups: Int, inputsPerGroup: Int, outputsPerGroup: Int, sourceStride: Int,
    resultStride: Int, phases geometries: [WindowPhase], readsSource: Bool
  ) {
    self.batch = batch
    self.groups = groups
    self.outputsPerGroup = outputsPerGroup
    self.inputsPerGroup = inputsPerGroup
    self.sourceStride = sourceStride
    self.resultStride = resultStride
    var offset = 0
    phases = geometries.map { geometry in
      let k = geometry.window.taps.count * inputsPerGroup
      let readsSource = readsSource && geometry.window.isIdentity
      let product = PackedProduct(n: outputsPerGroup, k: max(k, 1))
      let limit = readsSource ? Int.max : max(8, Self.tileLimit / max(k, 1))
      let tiles = RowTiles(
        rows: batch * geometry.window.positionsPerImage,
        target: min(product.blocking.rows, limit))
      let panelsPerTask =
        tiles.count * groups >= 4
        ? product.panelCount : max(1, (product.panelCount + 3) / 4)
      defer { offset += groups * k * outputsPerGroup }
      return Phase(
        geometry: geometry, product: product, tiles: tiles, panelsPerTask: panelsPerTask,
        packedOffset: offset, readsSource: readsSource)
    }
    packedCount = offset
    scratchPerWorker =
      phases.map { Self.gatheredCount($0) }.max() ?? 0
  }

  /// The floats of a gathered tile, rounded up to a cache line.
  private static func gatheredCount(_ phase: Phase) -> Int {
    phase.readsSource ? 0 : (phase.tiles.largest * phase.product.k + 15) / 16 * 16
  }

  /// The floats of the packed weight.
  let packedCount: Int

  /// The floats of scratch memory for one worker: the gathered tile. Kept, because runs need it and must not allocate.
  let scratchPerWorker: Int

  /// Computes every pixel of the result.
  /// - Precondition: `scratch` has `scratchPerWorker` floats for each worker.
  func run(
    source: UnsafePointer<Float>, packed: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    epilogue: EpilogueOperands, scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    for phase in phases {
      let panelTasks = phase.panelTasks
      let work = phase.tiles.rows * groups * phase.product.n * phase.product.k
      parallelism.forEach(phase.tiles.count * panelTasks, work: work) { task, worker in
        let (tile, part) = task.quotientAndRemainder(dividingBy: panelTasks)
        let first = part * phase.panelsPerTask
        let panels = first..<min(first + phase.panelsPerTask, phase.product.panelCount)
        let memory = scratch + worker * scratchPerWorker
        run(phase, phase.tiles[tile], panels, source, packed, y, epilogue, columns: memory)
      }
    }
  }

  /// One tile.
  private func run(
    _ phase: Phase, _ rows: Range<Int>, _ panels: Range<Int>, _ source: UnsafePointer<Float>,
    _ packed: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ epilogue: EpilogueOperands,
    columns: UnsafeMutablePointer<Float>
  ) {
    for group in 0..<groups {
      multiply(
        phase, rows, panels, group, source, packed,
        into: y + rows.lowerBound * resultStride + group * outputsPerGroup, columns: columns)
      let low = phase.product.columns(ofPanel: panels.lowerBound).lowerBound
      let high = phase.product.columns(ofPanel: panels.upperBound - 1).upperBound
      let base = group * outputsPerGroup
      epilogue.apply(to: y, rows: rows, columns: base + low..<base + high, stride: resultStride)
    }
  }

  private func multiply(
    _ phase: Phase, _ rows: Range<Int>, _ panels: Range<Int>, _ group: Int,
    _ source: UnsafePointer<Float>, _ packed: UnsafePointer<Float>,
    into c: UnsafeMutablePointer<Float>, columns: UnsafeMutablePointer<Float>
  ) {
    var a = source + group * inputsPerGroup
    var lda = sourceStride
    if phase.readsSource {
      a += rows.lowerBound * sourceStride
    } else {
      withUnsafePointer(to: phase.geometry.window.leaf) {
        loops.gather(columns, phase.product.k, a, $0, rows.lowerBound, rows.count)
      }
      a = UnsafePointer(columns)
      lda = phase.product.k
    }
    phase.product.multiply(
      rows: rows.count, a: a, lda: lda,
      packed: packed + phase.packedOffset + group * phase.product.packedCount, c: c,
      ldc: resultStride, panels: panels)
  }
}
