internal import CKeelLoops
internal import KeelTensor

/// The engine of Winograd convolutions F(m×m, 3×3): tiles of (m + 2)² source pixels become components, which are
/// multiplied with those of the weight, (m + 2)² products of matrices, and become m² pixels of the result, with
/// the epilogue, while they are in the cache (Lavin and Gray 2016, arXiv 1509.09308).
///
/// Per component: A = tiles × Cin (M = tiles of a block), B = packed weight, Cin × Cout, K = Cin. A block's components and
/// those of one panel of its result fit into half of a common L2; the weight's stream through it, each while
/// the one before is multiplied. Four times the weight is much memory where there are many channels: a packed weight
/// can keep its taps instead, and `tapDepth` channels of a panel become components at a time, in L2, for all tiles of
/// a block. Then blocks are larger, and their components lie depth by depth, which streams.
///
/// Numerics: components of a weight that are kept are computed in Double, others in Float; what else is rounded,
/// `ConvolutionAlgorithm` says. A NaN or infinity spreads over the pixels of its tiles.
internal struct WinogradProduct: Sendable {
  /// Pixels of the result along an edge of a tile: 2 or 4.
  let size: Int
  let inputs: Int
  let outputs: Int
  let height: Int
  let width: Int
  /// Floats from one pixel of the result to the next.
  let resultStride: Int
  /// The windows of tiles, on each part of the input: (m + 2)² taps that advance m pixels.
  private let windows: [Window]
  /// All units of the batch, in blocks.
  private let blocks: RowTiles
  /// The tiles that are not cut apart, of one image: several where the moments of their pixels are gathered together, so
  /// that these do not depend on the cut.
  private let unit: Int
  /// The tiles of an image, and the units that they make.
  private let tilesPerImage: Int, unitsPerImage: Int
  /// Panels of output channels, counted in vectors.
  private let panels: RowTiles
  /// Whether the packed weight has taps, not components.
  private let keepsTaps: Bool
  /// The input channels that are multiplied together: those whose weights become components in one go, or all.
  private let depths: RowTiles

  /// The floats that a block's components may take.
  private static let blockFloats = 262_144
  /// The input channels whose components are made together.
  private static let tapDepth = 64
  /// Tiles whose moments are gathered together: 128 pixels of tiles of 4×4.
  private static let tilesOfMoments = 8
  /// Tiles whose components are made in one go, where several threads work on one block.
  private static let tilesPerTask = 4

  /// The components of a tile.
  private var components: Int { (size + 2) * (size + 2) }

  /// Whether F(size×size, 3×3) can compute a geometry.
  static func serves(_ geometry: ConvolutionGeometry) -> Bool {
    geometry.groups == 1 && geometry.axes.count == 2
      && geometry.axes.allSatisfy { $0.window == 3 && $0.stride == 1 && $0.dilation == 1 }
  }

  init(
    _ geometry: ConvolutionGeometry, batch: Int, size: Int, keepsTaps: Bool, input: [InputPart],
    resultStride: Int, gathersMoments: Bool
  ) {
    precondition(size == 4 || !keepsTaps, "expected tiles of 4×4 pixels for taps, found \(size)")
    self.size = size
    self.resultStride = resultStride
    inputs = geometry.inputChannels
    outputs = geometry.outputChannels
    height = geometry.spatial.height.output
    width = geometry.spatial.width.output
    let edge = size + 2
    let (top, left) = (
      geometry.spatial.height.paddingBefore, geometry.spatial.width.paddingBefore
    )
    let taps = (0..<edge * edge).map {
      Tap(z: 0, y: $0 / edge - top, x: $0 % edge - left, number: $0)
    }
    let grid = Window.Extents(
      z: 1, y: (height + size - 1) / size, x: (width + size - 1) / size)
    windows = input.map {
      Window(
        source: geometry.spatial.extents(\.input), sourceStride: $0.stride, channels: $0.channels,
        grid: grid, step: .init(z: 1, y: size, x: size), taps: taps, joinsRuns: false, map: $0.map)
    }
    panels = RowTiles(
      rows: (geometry.outputChannels + loops.width - 1) / loops.width, target: loops.panel)
    let tiles = batch * grid.product
    unit = gathersMoments ? Self.tilesOfMoments : 1
    tilesPerImage = grid.product
    unitsPerImage = (grid.product + unit - 1) / unit
    let target = Self.tilesPerBlock(tiles, size: size, inputs: inputs, keepsTaps: keepsTaps)
    blocks = RowTiles(
      rows: batch * unitsPerImage, target: max(1, target * unitsPerImage / tilesPerImage))
    self.keepsTaps = keepsTaps
    depths = RowTiles(rows: inputs, target: keepsTaps ? Self.tapDepth : inputs)
  }

  /// As many tiles as the cache holds, but so many of many channels that the weight is not read, or made of taps,
  /// too often.
  /// - Parameter tiles: all of the batch.
  static func tilesPerBlock(_ tiles: Int, size: Int, inputs: Int, keepsTaps: Bool) -> Int {
    if keepsTaps { return max(64, min(128, tiles / 8)) }
    let fitting = blockFloats / ((size + 2) * (size + 2) * (inputs + loops.panel * loops.width))
    return max(fitting, min(64, inputs / 8), 12)
  }

  /// The tiles of a batch.
  static func tileCount(_ geometry: ConvolutionGeometry, batch: Int, size: Int) -> Int {
    let (height, width) = (geometry.spatial.height.output, geometry.spatial.width.output)
    return batch * ((height + size - 1) / size) * ((width + size - 1) / size)
  }
}

// MARK: - The weight

extension WinogradProduct {
  /// The floats of the packed weight, and of the zeros behind it that stand for padding.
  var packedCount: Int { zerosOffset + (inputs + 15) / 16 * 16 }

  private var zerosOffset: Int { offset(panels.rows) }

  /// The output channels of a panel.
  private func columns(_ panel: Int) -> Range<Int> {
    let vectors = panels[panel]
    return vectors.lowerBound * loops.width..<min(vectors.upperBound * loops.width, outputs)
  }

  /// Where a panel's weight starts, which is before so many vectors of outputs.
  private func offset(_ vectors: Int) -> Int {
    (keepsTaps ? Self.taps : components) * inputs * vectors * loops.width
  }

  private static let taps = 9

  /// Packs a weight Cout×3×3×Cin: panel by panel, component by component, Cin rows of the panel's columns; or
  /// panel by panel, part by part of Cin, tap by tap, the part's rows.
  func pack(
    _ weight: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>,
    parallelism: Parallelism
  ) {
    (packed + zerosOffset).update(repeating: 0, count: packedCount - zerosOffset)
    let tasks = panels.count * (keepsTaps ? depths.count : components)
    parallelism.forEach(tasks, work: 16 * tasks * inputs * loops.panel * loops.width) { task, _ in
      let (part, panel) = task.quotientAndRemainder(dividingBy: panels.count)
      let to = packed + offset(panels[panel].lowerBound)
      let from = weight + columns(panel).lowerBound * Self.taps * inputs
      if keepsTaps {
        packTaps(from, depths[part], panel, into: to)
      } else {
        packComponent(from, part, panel, into: to)
      }
    }
  }

  private func packTaps(
    _ weight: UnsafePointer<Float>, _ part: Range<Int>, _ panel: Int,
    into packed: UnsafeMutablePointer<Float>
  ) {
    let padded = panels[panel].count * loops.width
    for tap in 0..<Self.taps {
      loops.packPanel(
        packed + (Self.taps * part.lowerBound + tap * part.count) * padded,
        weight + tap * inputs + part.lowerBound, part.count, 1, columns(panel).count,
        Self.taps * inputs)
    }
  }

  private func packComponent(
    _ weight: UnsafePointer<Float>, _ component: Int, _ panel: Int,
    into packed: UnsafeMutablePointer<Float>
  ) {
    let factors = WinogradPoints.factors(size: size, component: component)
    let columns = columns(panel).count
    // Rows of the weight's components, then their transpose: packed once, so that memory may be allocated.
    withUnsafeTemporaryAllocation(of: Float.self, capacity: inputs * columns) { rows in
      for column in 0..<columns {
        loops.weighTaps(
          rows.baseAddress! + column * inputs, weight + column * Self.taps * inputs, inputs,
          factors, Self.taps, inputs)
      }
      loops.packPanel(
        packed + component * inputs * panels[panel].count * loops.width, rows.baseAddress!, inputs,
        1, columns, inputs)
    }
  }
}

// MARK: - Units of tiles

extension WinogradProduct {
  /// The tiles before a unit.
  private func tiles(before unit: Int) -> Int {
    let (image, rest) = unit.quotientAndRemainder(dividingBy: unitsPerImage)
    return image * tilesPerImage + min(rest * self.unit, tilesPerImage)
  }

  /// The tiles of some units.
  private func tiles(_ units: Range<Int>) -> Range<Int> {
    tiles(before: units.lowerBound)..<tiles(before: units.upperBound)
  }

  /// The tiles of the largest block, at most: its units are whole images and some of one more.
  private var largest: Int {
    let (images, rest) = blocks.largest.quotientAndRemainder(dividingBy: unitsPerImage)
    return images * tilesPerImage + min(rest * unit, tilesPerImage)
  }
  private var tileCount: Int { tiles(before: blocks.rows) }

  /// What moments are gathered of: nil where no units were asked for.
  var momentsSlots: [(image: Int, pixels: Int)]? {
    guard unit > 1 else { return nil }
    return (0..<blocks.rows).map { number in
      var pixels = 0
      forEachLine(of: tiles(number..<number + 1)) { _, count in pixels += count }
      return (number / unitsPerImage, pixels)
    }
  }
}

// MARK: - Running

extension WinogradProduct {
  /// The floats of a row of components: not a power of two, whose rows would share few sets of the cache.
  private var sourceRow: Int { depths.largest + (depths.largest % 256 == 0 ? 16 : 0) }
  /// The floats from one component of a block of so many tiles to the next, for the same reason.
  private func sourceStep(_ tiles: Int) -> Int { Self.odd(tiles * sourceRow) }
  /// The floats of the components of so many tiles: depth by depth.
  private func sourceCount(_ tiles: Int) -> Int { depths.count * components * sourceStep(tiles) }
  private var resultStep: Int { Self.odd(largest * panels.largest * loops.width) }

  /// An odd number of cache lines.
  private static func odd(_ floats: Int) -> Int { (floats + 15) / 16 / 2 * 32 + 16 }

  /// The floats of a worker's addresses, aligned.
  private var tableCount: Int { (2 * components * largest + 47) / 16 * 16 }
  private var resultCount: Int { components * resultStep }
  /// The floats from one component of a part of a panel's weight to the next.
  private var weightStep: Int {
    keepsTaps ? Self.odd(depths.largest * panels.largest * loops.width) : 0
  }
  private var weightCount: Int { components * weightStep }
  /// The floats of a worker, but for the components of its block.
  private var ownCount: Int { tableCount + resultCount + weightCount }

  /// Whether threads work on one block together, because there are too few for them.
  private func sharesBlocks(_ parallelism: Parallelism) -> Bool {
    blocks.count < parallelism.threadCount
  }

  /// The blocks of a run: as many for each thread, where there are few. Results do not depend on the cut.
  private func blocks(_ parallelism: Parallelism) -> RowTiles {
    let threads = parallelism.threadCount
    guard !sharesBlocks(parallelism), blocks.count < 8 * threads else { return blocks }
    return RowTiles(rows: blocks.rows, count: (blocks.count + threads - 1) / threads * threads)
  }

  /// The floats of scratch memory for a run.
  func scratchCount(_ parallelism: Parallelism) -> Int {
    let own = ownCount
    guard sharesBlocks(parallelism) else {
      return parallelism.threadCount * (own + sourceCount(largest))
    }
    return parallelism.threadCount * own + sourceCount(tileCount)
  }

  func run(
    source: InputParts, packed: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    epilogue: EpilogueOperands, scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    precondition(
      windows.count == (source.second == nil ? 1 : 2)
        && (epilogue.pooled == nil || epilogue.lateActivation == nil)
        && (epilogue.pooled?.keepsResult != false || epilogue.moments == nil),
      "expected \(windows.count) part(s) of the input, and a result that is kept where it is read again"
    )
    let own = ownCount
    let blocks = blocks(parallelism)
    let work = 2 * components * tileCount * inputs * outputs
    let zeros = packed + zerosOffset
    if !sharesBlocks(parallelism) {
      let step = sourceStep(largest)
      parallelism.forEach(blocks.count, work: work) { block, worker in
        let memory = scratch + worker * (own + sourceCount(largest))
        let units = blocks[block]
        let tiles = self.tiles(units)
        let parts = memory + own
        locate(tiles, source, zeros, table: memory, into: parts, step)
        for panel in 0..<panels.count {
          finish(units, panel, parts, step, packed, into: y, epilogue, result: memory + tableCount)
        }
      }
      return
    }
    // All components first, then every panel of each block.
    let parts = scratch + parallelism.threadCount * own
    let step = sourceStep(tileCount)
    let pieces = RowTiles(rows: tileCount, target: Self.tilesPerTask)
    parallelism.forEach(pieces.count, work: work) { piece, worker in
      let tiles = pieces[piece]
      locate(
        tiles, source, zeros, table: scratch + worker * own,
        into: parts + tiles.lowerBound * sourceRow, step)
    }
    parallelism.forEach(blocks.count * panels.count, work: work) { task, worker in
      let (block, panel) = task.quotientAndRemainder(dividingBy: panels.count)
      let units = blocks[block]
      finish(
        units, panel, parts + tiles(before: units.lowerBound) * sourceRow, step, packed, into: y,
        epilogue,
        result: scratch + worker * own + tableCount)
    }
  }

  /// Makes the components of some tiles.
  private func locate(
    _ tiles: Range<Int>, _ source: InputParts, _ zeros: UnsafePointer<Float>,
    table memory: UnsafeMutablePointer<Float>, into parts: UnsafeMutablePointer<Float>, _ step: Int
  ) {
    let table = UnsafeMutableRawPointer(memory).alignedUp(toMultipleOf: 64)
      .bindMemory(to: UnsafePointer<Float>?.self, capacity: components * tiles.count)
    func transform(_ window: Window, _ source: UnsafePointer<Float>, first: Int) {
      withUnsafePointer(to: window.leaf) {
        loops.locate(
          table, tiles.count, source, zeros, $0, 0, components, tiles.lowerBound, tiles.count)
      }
      let channels = first..<first + window.leaf.channels
      for depth in 0..<depths.count {
        let common = depths[depth].clamped(to: channels)
        guard !common.isEmpty else { continue }
        loops.winogradInput(
          size, parts + depth * components * step + common.lowerBound - depths[depth].lowerBound,
          step, sourceRow, table, tiles.count, common.lowerBound - first, tiles.count, common.count)
      }
    }
    transform(windows[0], source.first, first: 0)
    guard windows.count > 1, let second = source.second else { return }
    transform(windows[1], second, first: windows[0].leaf.channels)
  }

  /// Multiplies the components of some tiles with a panel of the weight's, and makes pixels of them.
  private func finish(
    _ units: Range<Int>, _ panel: Int, _ parts: UnsafePointer<Float>, _ sourceStep: Int,
    _ packed: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    _ epilogue: EpilogueOperands, result: UnsafeMutablePointer<Float>
  ) {
    let tiles = self.tiles(units)
    let padded = panels[panel].count * loops.width
    let weight = packed + offset(panels[panel].lowerBound)
    let made = result + resultCount
    for index in 0..<depths.count {
      let depth = depths[index]
      let floats = depth.count * padded
      func multiply(
        _ weight: UnsafePointer<Float>, _ step: Int, next: UnsafePointer<Float>?, _ count: Int
      ) {
        loops.winogradProduct(
          result, resultStep, parts + index * components * sourceStep, sourceStep, sourceRow,
          tiles.count, depth.count, weight, step, padded, components, index > 0 ? 1 : 0, next,
          count)
      }
      if keepsTaps {
        let from = weight + Self.taps * depth.lowerBound * padded
        loops.winogradWeight(made, weightStep, from, floats, floats)
        multiply(made, weightStep, next: from + Self.taps * floats, Self.taps * floats)
      } else {
        multiply(weight, floats, next: nil, 0)
      }
    }
    let columns = columns(panel)
    let first = columns.lowerBound
    let residualStride = epilogue.residualStride ?? resultStride
    var leaf = KeelWinogradTiles(
      size: size, height: height, width: width, step: resultStep, row: padded,
      y: epilogue.pooled?.keepsResult == false ? nil : y + first,
      yRow: width * resultStride, yStep: resultStride, bias: epilogue.bias.map { $0 + first },
      residual: epilogue.residual.map { $0 + first }, residualRow: width * residualStride,
      residualStep: residualStride, cut: epilogue.cut,
      pooled: epilogue.pooled.map { $0.start + first },
      pooledRow: width / 2 * (epilogue.pooled?.stride ?? 0),
      pooledStep: epilogue.pooled?.stride ?? 0)
    loops.winogradOutput(&leaf, result, tiles.lowerBound, tiles.count, columns.count)
    if let activation = epilogue.lateActivation {
      forEachLine(of: tiles) { pixel, count in
        for p in pixel..<pixel + count {
          let y = y + p * resultStride + first
          loops.activate(y, y, columns.count, activation.leaf)
        }
      }
    }
    guard let moments = epilogue.moments else { return }
    for unit in units {
      let (tiles, padded) = (self.tiles(unit..<unit + 1), moments.layout.padded)
      let pivot = moments.slot(unit) + first
      loops.winogradMoments(
        &leaf, tiles.lowerBound, tiles.count, columns.count, pivot, pivot + padded,
        pivot + 2 * padded)
    }
  }

  /// Calls a closure with the first pixel, counted over the batch, and the length of every line of every tile.
  private func forEachLine(of tiles: Range<Int>, _ body: (_ pixel: Int, _ count: Int) -> Void) {
    let (down, across) = (windows[0].leaf.gridHeight, windows[0].leaf.gridWidth)
    for tile in tiles {
      let (rest, x) = tile.quotientAndRemainder(dividingBy: across)
      let (image, i) = rest.quotientAndRemainder(dividingBy: down)
      for line in i * size..<min((i + 1) * size, height) {
        body((image * height + line) * width + x * size, min(size, width - x * size))
      }
    }
  }
}

/// How weights become components: G·g·Gᵀ.
private enum WinogradPoints {
  /// G, (m + 2) × 3.
  private static let rows: [Int: [[Double]]] = [
    2: [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]],
    4: matrix(near: 0.5.squareRoot(), far: 2.0.squareRoot()),
  ]

  /// G for the points 0, ±near, ±far and ∞: row p is (1, p, p²) over the product of p's distances from the others.
  private static func matrix(near: Double, far: Double) -> [[Double]] {
    let points = [0, near, -near, far, -far]
    let finite = points.map { p in
      let product = points.reduce(1) { $1 == p ? $0 : $0 * (p - $1) }
      return [1 / product, p / product, p * p / product]
    }
    return finite + [[0, 0, 1]]
  }

  /// What each of the 3×3 taps is multiplied with in a component.
  static func factors(size: Int, component: Int) -> [Double] {
    let g = rows[size]!
    let (i, j) = component.quotientAndRemainder(dividingBy: size + 2)
    return (0..<9).map { g[i][$0 / 3] * g[j][$0 % 3] }
  }
}
