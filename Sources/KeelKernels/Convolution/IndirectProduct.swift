internal import CKeelLoops
internal import KeelTensor

/// The engine behind convolutions and their input gradients: windows are multiplied with the packed
/// weight where they lie, through a table of their addresses ("indirect convolution", Dukhan 2019,
/// arXiv 1907.02129). No window is copied, so nothing is gathered and no product packs its left side.
///
/// Per group: A = windows, rows × K (M = pixels of a task, K = taps × channels per group), B = packed
/// weight, K × N (N = output channels per group).
///
/// Why not BLAS: with gathered tiles its products ran at 95 to 115 of 140 peak GFLOP/s, less where rows
/// are few, and had to be cut to fit its path without packing; this loop runs at 120 to 130, whatever
/// the extents, on every instruction set that `loops` has.
internal struct IndirectProduct: Sendable {
  let batch: Int
  let groups: Int
  let inputsPerGroup: Int
  let outputsPerGroup: Int
  let sourceStride: Int
  let phases: [Phase]

  /// The pixels that see the same taps.
  struct Phase: Sendable {
    let geometry: WindowPhase
    /// Pieces of a window that lie contiguously, and the floats of each.
    let runs: Int, depth: Int
    /// Panels of output channels, counted in vectors.
    let panels: RowTiles
    /// Whether vectors run along the depth, because output channels would not fill one.
    let usesDots: Bool
    /// A padded copy of few input rows, where a pixel has too few channels for a run of its own.
    let strip: SourceStrip?
    /// Whether windows are the source's pixels, one after another: then no table is needed.
    let readsPixels: Bool
    /// Pixels of a task, without a strip.
    let tiles: RowTiles
    /// Panels per task: few pixels of many channels are cut along the channels too.
    let panelsPerTask: Int
    /// Where the phase's packed weight starts: groups follow each other.
    let packedOffset: Int

    var panelTasks: Int { (panels.count + panelsPerTask - 1) / panelsPerTask }
    var tileCount: Int { strip?.blockCount ?? tiles.count }
    var taskRows: Int { strip?.largest ?? tiles.largest }
  }

  /// Where the weight is read as it is, not packed: the floats from a row of B to the next.
  private let weightStep: Int?
  /// Whether the weight is read as it is.
  var readsWeight: Bool { weightStep != nil }
  /// The floats of the packed weight, and of the zeros behind it that stand for padding.
  let packedCount: Int
  /// Where the zeros start.
  private let zerosOffset: Int
  /// The floats of scratch memory for one worker: addresses, and a strip or a block of the weight.
  let scratchPerWorker: Int
  /// The floats of the largest table.
  private let tableCount: Int

  /// Pixels up to which packing a weight takes longer than reading it where it lies.
  private static let fewPixels = 1024
  /// Pixels of a block with a strip.
  private static let stripPixels = 448
  /// The rows of a weight that `streamedProduct` brings together.
  private static let streamedDepth = 64

  /// - Parameters:
  ///   - phases: windows whose runs are single taps.
  ///   - weightTaps: for a transposed convolution whose weight is used once, the taps of the whole
  ///     kernel: then the weight may be read as it is. nil for a weight that is packed.
  init(
    batch: Int, groups: Int, inputsPerGroup: Int, outputsPerGroup: Int, sourceStride: Int,
    phases geometries: [WindowPhase], weightTaps: Int? = nil
  ) {
    self.batch = batch
    self.groups = groups
    self.inputsPerGroup = inputsPerGroup
    self.outputsPerGroup = outputsPerGroup
    self.sourceStride = sourceStride
    let pixels = geometries.map { batch * $0.window.positionsPerImage }.max() ?? 0
    let readsWeight =
      weightTaps != nil && inputsPerGroup >= 64 && outputsPerGroup % loops.width == 0
      && pixels <= Self.fewPixels
    var offset = 0
    phases = geometries.map { geometry in
      let phase = Self.phase(
        geometry, batch: batch, groups: groups, inputs: inputsPerGroup, outputs: outputsPerGroup,
        readsWeight: readsWeight, packedOffset: offset)
      offset += groups * phase.packedCount(outputsPerGroup)
      return phase
    }
    weightStep = readsWeight ? weightTaps.map { $0 * outputsPerGroup } : nil
    if readsWeight { offset = 0 }
    zerosOffset = offset
    packedCount = offset + (sourceStride + 15) / 16 * 16
    // An address takes two floats; one cache line to align the table.
    tableCount = phases.map { (2 * ($0.runs + 1) * $0.taskRows + 31) / 16 * 16 }.max() ?? 0
    let strip = phases.map { $0.strip?.count ?? 0 }.max() ?? 0
    scratchPerWorker =
      tableCount + max(strip, readsWeight ? Self.streamedDepth * loops.panel * loops.width : 0)
  }

  private static func phase(
    _ geometry: WindowPhase, batch: Int, groups: Int, inputs: Int, outputs: Int,
    readsWeight: Bool, packedOffset: Int
  ) -> Phase {
    let window = geometry.window
    let strip =
      groups == 1 && inputs < 16
      ? SourceStrip(window, batch: batch, pixels: Self.stripPixels) : nil
    let runs = strip?.window.leaf.runCount ?? window.taps.count
    let depth = runs == 0 ? 0 : window.columnCount / runs
    let usesDots = outputs <= 4 && depth > 0 && depth % loops.width == 0
    let vectors = (outputs + loops.width - 1) / loops.width
    let panels = RowTiles(rows: usesDots ? 1 : vectors, target: loops.panel)
    // About 30 µs of work, in tables that stay in L1 or L2 beside the weight's blocks.
    let work = 2_000_000 / max(1, runs * depth * outputs * groups)
    // Where a weight is large and pixels are few, all of them: then the weight is read once.
    let pixels = batch * window.positionsPerImage
    let isOneTile = readsWeight ? panels.count >= 4 : panels.count >= 8 && pixels <= 256
    let least = isOneTile ? pixels : 96
    let wanted = max(1, min(max(least, min(work, 768)), max(12, 16_384 / (runs + 1))))
    let tiles = RowTiles(rows: pixels, target: wanted)
    let tileCount = strip?.blockCount ?? tiles.count
    // A weight that is read where it lies is read in pieces of two panels: longer ones come faster.
    let pieces = readsWeight ? (panels.count + 1) / 2 : panels.count
    let parts = min(pieces, max(1, (16 + tileCount - 1) / max(1, tileCount)))
    return Phase(
      geometry: geometry, runs: runs, depth: depth, panels: panels, usesDots: usesDots,
      strip: strip,
      readsPixels: geometry.isWhole && window.isIdentity && strip == nil && !usesDots
        && !readsWeight, tiles: tiles, panelsPerTask: (panels.count + parts - 1) / max(1, parts),
      packedOffset: packedOffset)
  }

  /// Computes every pixel of the result.
  /// - Parameter weight: for input gradients, the weight that `packInputGradient` got.
  /// - Precondition: `scratch` has `scratchPerWorker` floats for each worker.
  func run(
    source: UnsafePointer<Float>, packed: UnsafePointer<Float>, weight: UnsafePointer<Float>? = nil,
    into y: UnsafeMutablePointer<Float>, epilogue: EpilogueOperands,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    for phase in phases {
      let panelTasks = phase.panelTasks
      let rows = batch * phase.geometry.window.positionsPerImage
      let work = rows * groups * outputsPerGroup * max(1, phase.runs * phase.depth)
      parallelism.forEach(phase.tileCount * panelTasks, work: work) { task, worker in
        let (tile, part) = task.quotientAndRemainder(dividingBy: panelTasks)
        let first = part * phase.panelsPerTask
        let panels = first..<min(first + phase.panelsPerTask, phase.panels.count)
        let memory = scratch + worker * scratchPerWorker
        run(
          phase, tile, panels, source, weightStep == nil ? packed : weight!, packed + zerosOffset,
          y,
          epilogue, memory)
      }
    }
  }

  private func run(
    _ phase: Phase, _ tile: Int, _ panels: Range<Int>, _ source: UnsafePointer<Float>,
    _ weight: UnsafePointer<Float>, _ zeros: UnsafePointer<Float>,
    _ y: UnsafeMutablePointer<Float>, _ epilogue: EpilogueOperands,
    _ memory: UnsafeMutablePointer<Float>
  ) {
    let window = phase.geometry.window
    let stride = groups * outputsPerGroup
    let block = phase.strip?.block(tile)
    let rows = block.map { phase.strip!.positions($0) } ?? phase.tiles[tile]
    let count = rows.count
    let table = AddressTable(memory, rows: count)
    if !phase.readsPixels { phase.geometry.locate(rows, in: y, stride: stride, table.targets) }
    if phase.runs == 0 {
      // Of these panels alone: others may be finished already.
      let columns = phase.columns(of: panels, outputs: outputsPerGroup)
      for group in 0..<groups {
        for row in 0..<count {
          (table.targets[row]! + group * outputsPerGroup + columns.lowerBound)
            .update(repeating: 0, count: columns.count)
        }
      }
    } else if let strip = phase.strip, let block {
      strip.locate(table.sources, block, source: source, in: memory + tableCount)
    } else if !phase.readsPixels {
      withUnsafePointer(to: window.leaf) {
        loops.locate(
          table.sources, count, source, zeros, $0, 0, phase.runs, rows.lowerBound,
          count)
      }
    }
    for group in 0..<groups {
      let base = group * outputsPerGroup
      if phase.runs > 0 {
        if let weightStep {
          let columns = phase.columns(of: panels, outputs: outputsPerGroup)
          loops.streamedProduct(
            table.targets, table.sources, count, phase.runs, phase.depth, group * inputsPerGroup,
            weight + group * inputsPerGroup * weightStep + columns.lowerBound, weightStep,
            outputsPerGroup, window.runNumbers, memory + tableCount, base + columns.lowerBound,
            columns.count)
        } else {
          let own = weight + phase.packedOffset + group * phase.packedCount(outputsPerGroup)
          for panel in panels {
            multiply(
              phase, phase.columns(ofPanel: panel, of: outputsPerGroup), rows, group, source, own,
              y, table)
          }
        }
      }
      let columns = phase.columns(of: panels, outputs: outputsPerGroup)
      epilogue.apply(
        to: y, of: phase.geometry, rows: rows,
        columns: base + columns.lowerBound..<base + columns.upperBound, stride: stride)
      epilogue.moments?.gather(
        tile: tile, columns: base + columns.lowerBound..<base + columns.upperBound, of: y,
        rowStride: stride)
    }
  }

  /// The pixels of each tile, where a task makes whole rows of the result in the order of memory.
  var wholeTiles: [Range<Int>]? {
    guard phases.count == 1, phases[0].geometry.isWhole else { return nil }
    let phase = phases[0]
    return (0..<phase.tileCount).map { tile in
      phase.strip.map { $0.positions($0.block(tile)) } ?? phase.tiles[tile]
    }
  }

  /// One panel of a group: `packed` is the group's packed weight.
  private func multiply(
    _ phase: Phase, _ columns: Range<Int>, _ rows: Range<Int>, _ group: Int,
    _ source: UnsafePointer<Float>, _ packed: UnsafePointer<Float>,
    _ y: UnsafeMutablePointer<Float>, _ table: AddressTable
  ) {
    let panel = packed + columns.lowerBound * phase.runs * phase.depth
    let offset = group * inputsPerGroup
    let column = group * outputsPerGroup + columns.lowerBound
    if phase.usesDots {
      loops.windowDots(
        table.targets, table.sources, rows.count, phase.runs, phase.depth, offset, panel, column,
        columns.count)
    } else if phase.readsPixels {
      let stride = groups * outputsPerGroup
      loops.pixelProduct(
        y + rows.lowerBound * stride + column, stride,
        source + rows.lowerBound * sourceStride + offset, sourceStride, rows.count, phase.depth,
        panel, columns.count)
    } else {
      loops.windowProduct(
        table.targets, table.sources, rows.count, phase.runs, phase.depth, offset, panel, column,
        columns.count)
    }
  }

  // MARK: Packing

  /// Packs a convolution's weight Cout×taps×(Cin/G) for its forward pass.
  func packForward(_ weight: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>) {
    let k = phases[0].geometry.window.columnCount
    pack(
      weight, into: packed, groupStride: outputsPerGroup * k, tapStride: inputsPerGroup, kStride: 1,
      columnStride: k, parallelism: .serial)
  }

  /// Packs a convolution's weight for its input gradient: row (tap, o) of B holds weight[o, tap, ·].
  /// - Parameter taps: the taps of the whole kernel.
  func packInputGradient(
    _ weight: UnsafePointer<Float>, taps: Int, into packed: UnsafeMutablePointer<Float>,
    parallelism: Parallelism
  ) {
    let outputStride = taps * outputsPerGroup
    pack(
      weight, into: packed, groupStride: inputsPerGroup * outputStride, tapStride: outputsPerGroup,
      kStride: outputStride, columnStride: 1, parallelism: parallelism)
  }

  private func pack(
    _ weight: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>, groupStride: Int,
    tapStride: Int, kStride: Int, columnStride: Int, parallelism: Parallelism
  ) {
    (packed + zerosOffset).update(repeating: 0, count: packedCount - zerosOffset)
    guard weightStep == nil else { return }
    for phase in phases where phase.runs > 0 {
      let taps = phase.geometry.window.taps
      let k = taps.count * inputsPerGroup
      let tasks = groups * phase.panels.count
      parallelism.forEach(tasks, work: groups * k * outputsPerGroup) { task, _ in
        let (group, panel) = task.quotientAndRemainder(dividingBy: phase.panels.count)
        let columns = phase.columns(ofPanel: panel, of: outputsPerGroup)
        let from = weight + group * groupStride + columns.lowerBound * columnStride
        let to =
          packed + phase.packedOffset + group * phase.packedCount(outputsPerGroup)
          + columns.lowerBound * k
        if phase.usesDots {
          for column in columns {
            for (i, tap) in taps.enumerated() {
              let source = from + column * columnStride + tap.number * tapStride
              for c in 0..<inputsPerGroup {
                to[column * k + i * inputsPerGroup + c] = source[c * kStride]
              }
            }
          }
        } else {
          let width = phase.panels[panel].count * loops.width
          for (i, tap) in taps.enumerated() {
            loops.packPanel(
              to + i * inputsPerGroup * width, from + tap.number * tapStride, inputsPerGroup,
              kStride, columns.count, columnStride)
          }
        }
      }
    }
  }
}

extension IndirectProduct.Phase {
  /// The output channels of a panel.
  func columns(ofPanel panel: Int, of outputs: Int) -> Range<Int> {
    if usesDots { return 0..<outputs }
    let vectors = panels[panel]
    return vectors.lowerBound * loops.width..<min(vectors.upperBound * loops.width, outputs)
  }

  /// The output channels of some panels.
  func columns(of panels: Range<Int>, outputs: Int) -> Range<Int> {
    columns(ofPanel: panels.lowerBound, of: outputs)
      .lowerBound..<columns(ofPanel: panels.upperBound - 1, of: outputs).upperBound
  }

  /// The floats of one group's packed weight.
  func packedCount(_ outputs: Int) -> Int {
    let columns = usesDots ? outputs : panels.rows * loops.width
    return (runs * depth * columns + 15) / 16 * 16
  }
}

/// A worker's table of addresses, in its scratch memory: of the rows of the result, then of each run of
/// each row's window.
internal struct AddressTable {
  let targets: UnsafeMutablePointer<UnsafeMutablePointer<Float>?>
  let sources: UnsafeMutablePointer<UnsafePointer<Float>?>

  init(_ memory: UnsafeMutablePointer<Float>, rows: Int) {
    let aligned = UnsafeMutableRawPointer(memory).alignedUp(toMultipleOf: 64)
    targets = aligned.bindMemory(to: UnsafeMutablePointer<Float>?.self, capacity: rows)
    sources = (aligned + rows * MemoryLayout<UnsafeRawPointer>.stride)
      .bindMemory(to: UnsafePointer<Float>?.self, capacity: rows)
  }
}
