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
  /// Floats from one pixel of the source, and of the result, to the next.
  let sourceStride: Int, resultStride: Int
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

  /// What pixels are mapped by before they are multiplied.
  let inputMap: InputMap?
  /// Whether a weight that is used once is read where it lies.
  let readsWeight: Bool
  /// The floats of the packed weight, and of the zeros behind it that stand for padding.
  let packedCount: Int
  /// Where the zeros start.
  let zerosOffset: Int
  /// The floats of scratch memory for one worker: addresses, and a strip, mapped pixels or a block of the
  /// weight.
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
  ///   - mayReadWeight: for a transposed convolution whose weight is used once: then it may be read where
  ///     it lies.
  ///   - inputMap: what the source is mapped by; only where windows are pixels.
  init(
    batch: Int, groups: Int, inputsPerGroup: Int, outputsPerGroup: Int, sourceStride: Int,
    resultStride: Int, phases geometries: [WindowPhase], mayReadWeight: Bool = false,
    inputMap: InputMap? = nil
  ) {
    self.batch = batch
    self.groups = groups
    self.inputsPerGroup = inputsPerGroup
    self.outputsPerGroup = outputsPerGroup
    self.sourceStride = sourceStride
    self.resultStride = resultStride
    self.inputMap = inputMap
    let pixels = geometries.map { batch * $0.window.positionsPerImage }.max() ?? 0
    let readsWeight =
      mayReadWeight && inputsPerGroup >= 64 && outputsPerGroup % loops.width == 0
      && pixels <= Self.fewPixels
    self.readsWeight = readsWeight
    var offset = 0
    phases = geometries.map { geometry in
      let phase = Self.phase(
        geometry, batch: batch, groups: groups, inputs: inputsPerGroup, outputs: outputsPerGroup,
        readsWeight: readsWeight, mapsPixels: inputMap != nil, packedOffset: offset)
      offset += groups * phase.packedCount(outputsPerGroup)
      return phase
    }
    if readsWeight { offset = 0 }
    zerosOffset = offset
    packedCount = offset + (groups * inputsPerGroup + 15) / 16 * 16
    // An address takes two floats; one cache line to align the table.
    tableCount = phases.map { (2 * ($0.runs + 1) * $0.taskRows + 31) / 16 * 16 }.max() ?? 0
    let strip = phases.map { $0.strip?.count ?? 0 }.max() ?? 0
    let mapped = (inputMap?.channels ?? 0) * (phases.map(\.taskRows).max() ?? 0)
    scratchPerWorker =
      tableCount
      + max(
        strip, (mapped + 15) / 16 * 16,
        readsWeight ? Self.streamedDepth * loops.panel * loops.width : 0)
    precondition(
      inputMap == nil || phases.allSatisfy(\.readsPixels),
      "indirect product: expected windows that are pixels for a map, found others")
  }

  private static func phase(
    _ geometry: WindowPhase, batch: Int, groups: Int, inputs: Int, outputs: Int,
    readsWeight: Bool, mapsPixels: Bool, packedOffset: Int
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
    let wanted =
      mapsPixels
      ? mappedRows(pixels: pixels, channels: groups * inputs, work: work)
      : max(1, min(max(least, min(work, 768)), max(12, 16_384 / (runs + 1))))
    let tiles = RowTiles(rows: pixels, target: wanted)
    let tileCount = strip?.blockCount ?? tiles.count
    // A weight that is read where it lies is read in pieces of two panels: longer ones come faster.
    let pieces = readsWeight ? (panels.count + 1) / 2 : panels.count
    // Pixels are mapped once, for all panels.
    let parts = mapsPixels ? 1 : min(pieces, max(1, (16 + tileCount - 1) / max(1, tileCount)))
    return Phase(
      geometry: geometry, runs: runs, depth: depth, panels: panels, usesDots: usesDots,
      strip: strip,
      readsPixels: geometry.isWhole && window.isIdentity && strip == nil && !usesDots
        && !readsWeight, tiles: tiles, panelsPerTask: (panels.count + parts - 1) / max(1, parts),
      packedOffset: packedOffset)
  }

  /// The pixels of a task that maps them: 256 kB at most where that leaves a task some work, and a quarter of
  /// all where there are few.
  private static func mappedRows(pixels: Int, channels: Int, work: Int) -> Int {
    max(max(32, min(96, (pixels + 3) / 4)), min(work, 65_536 / channels))
  }

  /// Computes every pixel of the result.
  /// - Precondition: `scratch` has `scratchPerWorker` floats for each worker.
  func run(
    source: UnsafePointer<Float>, packed: UnsafePointer<Float>,
    into y: UnsafeMutablePointer<Float>, epilogue: EpilogueOperands,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    for phase in phases {
      run(
        phase, source, .packed(packed + phase.packedOffset), zeros: packed + zerosOffset, y,
        epilogue, scratch, parallelism)
    }
  }

  /// Computes every pixel of the result with a weight that is used once.
  /// - Parameter packed: memory for `packedCount` floats.
  /// - Precondition: `scratch` has `scratchPerWorker` floats for each worker.
  func run(
    source: UnsafePointer<Float>, weight: WeightSource, packed: UnsafeMutablePointer<Float>,
    into y: UnsafeMutablePointer<Float>, epilogue: EpilogueOperands,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    packZeros(into: packed)
    for phase in phases {
      let operand: Weight
      if readsWeight {
        operand = .loose(weight)
      } else if packsInTasks(phase, parallelism) {
        operand = .packing(weight, memory: packed)
      } else {
        pack(phase, weight, into: packed, parallelism: parallelism)
        operand = .packed(packed + phase.packedOffset)
      }
      run(
        phase, source, operand, zeros: packed + zerosOffset, y, epilogue, scratch, parallelism)
    }
  }

  /// How a task finds its part of the weight.
  private enum Weight {
    /// The phase's panels, group by group.
    case packed(UnsafePointer<Float>)
    /// Each panel is used by one task, which packs it where it stays in the cache; memory for each worker.
    case packing(WeightSource, memory: UnsafeMutablePointer<Float>)
    /// Where it lies.
    case loose(WeightSource)

    var isLoose: Bool { if case .loose = self { true } else { false } }
  }

  /// Whether each panel is used once, and small enough to be read from L2 after it was written there.
  private func packsInTasks(_ phase: Phase, _ parallelism: Parallelism) -> Bool {
    let panel = phase.panelCount
    let workers = min(parallelism.threadCount, phase.panelTasks)
    return phase.tileCount == 1 && !phase.usesDots && panel <= 262_144
      && workers * panel <= zerosOffset
  }

  private func run(
    _ phase: Phase, _ source: UnsafePointer<Float>, _ weight: Weight,
    zeros: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ epilogue: EpilogueOperands,
    _ scratch: UnsafeMutablePointer<Float>, _ parallelism: Parallelism
  ) {
    let panelTasks = phase.panelTasks
    let rows = batch * phase.geometry.window.positionsPerImage
    // Storing a float takes about as long as 16 operations.
    let work = rows * groups * outputsPerGroup * max(16, phase.runs * phase.depth)
    parallelism.forEach(phase.tileCount * panelTasks, work: work) { task, worker in
      let (tile, part) = task.quotientAndRemainder(dividingBy: panelTasks)
      let first = part * phase.panelsPerTask
      let panels = first..<min(first + phase.panelsPerTask, phase.panels.count)
      run(
        phase, tile, panels, source, weight, zeros, y, epilogue,
        scratch + worker * scratchPerWorker, worker)
    }
  }

  private func run(
    _ phase: Phase, _ tile: Int, _ panels: Range<Int>, _ source: UnsafePointer<Float>,
    _ weight: Weight, _ zeros: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>,
    _ epilogue: EpilogueOperands, _ memory: UnsafeMutablePointer<Float>, _ worker: Int
  ) {
    let window = phase.geometry.window
    let block = phase.strip?.block(tile)
    let rows = block.map { phase.strip!.positions($0) } ?? phase.tiles[tile]
    let count = rows.count
    let table = AddressTable(memory, rows: count)
    if !phase.readsPixels {
      phase.geometry.locate(rows, in: y, stride: resultStride, table.targets)
    }
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
    var pixels = Pixels(first: source + rows.lowerBound * sourceStride, stride: sourceStride)
    if let inputMap {
      let mapped = memory + tableCount
      inputMap.apply(pixels.first, stride: pixels.stride, rows: count, into: mapped)
      pixels = Pixels(first: mapped, stride: inputMap.channels)
    }
    // Bias, residual and ReLU before the sums are stored, where the loops can.
    let isStored = phase.runs > 0 && !phase.usesDots && !weight.isLoose
    let leaf = isStored ? epilogue.leaf(result: y, stride: resultStride) : nil
    let rest = leaf == nil ? epilogue : epilogue.withoutLeaf
    for group in 0..<groups {
      let base = group * outputsPerGroup
      let columns = phase.columns(of: panels, outputs: outputsPerGroup)
      if phase.runs > 0 {
        switch weight {
        case .loose(let weight):
          loops.streamedProduct(
            table.targets, table.sources, count, phase.runs, phase.depth, group * inputsPerGroup,
            weight.start + group * weight.groupStride + columns.lowerBound, weight.kStride,
            weight.tapStride, window.runNumbers, memory + tableCount, base + columns.lowerBound,
            columns.count)
        case .packing(let weight, let memory):
          let own = memory + worker * phase.panelCount
          for panel in panels {
            pack(phase, weight, group, panel, into: own)
            multiply(phase, panel, rows, group, pixels, own, y, leaf, table)
          }
        case .packed(let packed):
          let own = packed + group * phase.packedCount(outputsPerGroup)
          for panel in panels {
            let first = phase.columns(ofPanel: panel, of: outputsPerGroup).lowerBound
            multiply(
              phase, panel, rows, group, pixels, own + first * phase.runs * phase.depth, y, leaf,
              table)
          }
        }
      }
      rest.apply(
        to: y, of: phase.geometry, rows: rows,
        columns: base + columns.lowerBound..<base + columns.upperBound, stride: resultStride)
      epilogue.moments?.gather(
        tile: tile, columns: base + columns.lowerBound..<base + columns.upperBound, of: y,
        rowStride: resultStride)
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

  /// The pixels of a task, where windows are pixels.
  private struct Pixels {
    let first: UnsafePointer<Float>
    let stride: Int
  }

  /// One panel of a group, whose packed weight is `panel`.
  private func multiply(
    _ phase: Phase, _ number: Int, _ rows: Range<Int>, _ group: Int,
    _ pixels: Pixels, _ panel: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>,
    _ epilogue: KeelEpilogue?, _ table: AddressTable
  ) {
    let columns = phase.columns(ofPanel: number, of: outputsPerGroup)
    let offset = group * inputsPerGroup
    let column = group * outputsPerGroup + columns.lowerBound
    if phase.usesDots {
      loops.windowDots(
        table.targets, table.sources, rows.count, phase.runs, phase.depth, offset, panel, column,
        columns.count)
      return
    }
    var own = epilogue ?? KeelEpilogue()
    own.bias = own.bias.map { $0 + column }
    if phase.readsPixels {
      loops.pixelProduct(
        y + rows.lowerBound * resultStride + column, resultStride,
        pixels.first + offset, pixels.stride, rows.count, phase.depth, panel, columns.count, &own)
    } else {
      loops.windowProduct(
        table.targets, table.sources, rows.count, phase.runs, phase.depth, offset, panel, column,
        columns.count, &own)
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

  /// The floats of the largest panel.
  var panelCount: Int { runs * depth * panels.largest * loops.width }

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
