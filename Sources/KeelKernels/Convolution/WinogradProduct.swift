internal import CKeelLoops
internal import KeelTensor

/// The engine of Winograd convolutions F(m×m, 3×3): tiles of (m + 2)² source pixels become components, which are
/// multiplied with those of the weight, (m + 2)² products of matrices, and become m² pixels of the result, with
/// the epilogue, while they are in the cache (Lavin and Gray 2016, arXiv 1509.09308).
///
/// Per component: A = tiles × Cin (M = tiles of a block), B = packed weight, Cin × Cout, K = Cin. A block's components and
/// those of one panel of its result fit into half of a common L2; the weight's stream through it, each while
/// the one before is multiplied.
///
/// Numerics: the weight's components are computed in Double; what else is rounded, `ConvolutionAlgorithm` says. A
/// NaN or infinity spreads over the pixels of its tiles.
internal struct WinogradProduct: Sendable {
  /// Pixels of the result along an edge of a tile: 2 or 4.
  let size: Int
  let inputs: Int
  let outputs: Int
  let height: Int
  let width: Int
  /// Floats from one pixel of the result to the next.
  let resultStride: Int
  /// The windows of tiles: (m + 2)² taps that advance m pixels.
  private let window: Window
  /// All tiles of the batch, in blocks.
  private let blocks: RowTiles
  /// Panels of output channels, counted in vectors.
  private let panels: RowTiles

  /// The floats that a block's components may take.
  private static let blockFloats = 262_144
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
    _ geometry: ConvolutionGeometry, batch: Int, size: Int, sourceStride: Int, resultStride: Int
  ) {
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
    window = Window(
      source: geometry.spatial.extents(\.input), sourceStride: sourceStride, channels: inputs,
      grid: .init(z: 1, y: (height + size - 1) / size, x: (width + size - 1) / size),
      step: .init(z: 1, y: size, x: size), taps: taps, joinsRuns: false)
    panels = RowTiles(
      rows: (geometry.outputChannels + loops.width - 1) / loops.width, target: loops.panel)
    blocks = RowTiles(
      rows: batch * window.positionsPerImage,
      target: Self.tilesPerBlock(size: size, inputs: geometry.inputChannels))
  }

  /// As many tiles as the cache holds, but so many of many channels that the weight is not read too often.
  static func tilesPerBlock(size: Int, inputs: Int) -> Int {
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

  private var zerosOffset: Int { components * inputs * panels.rows * loops.width }

  /// The output channels of a panel.
  private func columns(_ panel: Int) -> Range<Int> {
    let vectors = panels[panel]
    return vectors.lowerBound * loops.width..<min(vectors.upperBound * loops.width, outputs)
  }

  /// Where a panel's weight starts.
  private func offset(_ panel: Int) -> Int {
    components * inputs * panels[panel].lowerBound * loops.width
  }

  /// Computes the components of a weight Cout×3×3×Cin: panel by panel, component by component, Cin rows of the
  /// panel's columns.
  func pack(
    _ weight: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>,
    parallelism: Parallelism
  ) {
    (packed + zerosOffset).update(repeating: 0, count: packedCount - zerosOffset)
    let tasks = panels.count * components
    parallelism.forEach(tasks, work: 16 * tasks * inputs * loops.panel * loops.width) { task, _ in
      let (panel, component) = task.quotientAndRemainder(dividingBy: components)
      let columns = columns(panel)
      let vectors = panels[panel].count
      let to = packed + offset(panel) + component * inputs * vectors * loops.width
      let factors = WinogradPoints.factors(size: size, component: component)
      // Rows of the weight's components, then their transpose: packed once, so that memory may be allocated.
      withUnsafeTemporaryAllocation(of: Float.self, capacity: inputs * columns.count) { rows in
        for (i, column) in columns.enumerated() {
          loops.weighTaps(
            rows.baseAddress! + i * inputs, weight + column * 9 * inputs, inputs, factors, 9, inputs
          )
        }
        loops.packPanel(to, rows.baseAddress!, inputs, 1, columns.count, inputs)
      }
    }
  }
}

// MARK: - Running

extension WinogradProduct {
  /// The floats of a row of components: not a power of two, whose rows would share few sets of the cache.
  private var sourceRow: Int { inputs + (inputs % 256 == 0 ? 16 : 0) }
  /// The floats from one component of a block of so many tiles to the next, for the same reason.
  private func sourceStep(_ tiles: Int) -> Int { Self.odd(tiles * sourceRow) }
  private var resultStep: Int { Self.odd(blocks.largest * panels.largest * loops.width) }

  /// An odd number of cache lines.
  private static func odd(_ floats: Int) -> Int { (floats + 15) / 16 / 2 * 32 + 16 }

  /// The floats of a worker's addresses, aligned.
  private var tableCount: Int { (2 * components * blocks.largest + 47) / 16 * 16 }
  private var resultCount: Int { components * resultStep }

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
    let own = tableCount + resultCount
    guard sharesBlocks(parallelism) else {
      return parallelism.threadCount * (own + components * sourceStep(blocks.largest))
    }
    return parallelism.threadCount * own + components * sourceStep(blocks.rows)
  }

  func run(
    source: UnsafePointer<Float>, packed: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    epilogue: EpilogueOperands, scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let own = tableCount + resultCount
    let blocks = blocks(parallelism)
    let work = 2 * components * blocks.rows * inputs * outputs
    let zeros = packed + zerosOffset
    if !sharesBlocks(parallelism) {
      let step = sourceStep(blocks.largest)
      parallelism.forEach(blocks.count, work: work) { block, worker in
        let memory = scratch + worker * (own + components * step)
        let tiles = blocks[block]
        let parts = memory + own
        locate(tiles, source, zeros, table: memory, into: parts, step)
        for panel in 0..<panels.count {
          finish(tiles, panel, parts, step, packed, into: y, epilogue, result: memory + tableCount)
        }
      }
      return
    }
    // All components first, then every panel of each block.
    let parts = scratch + parallelism.threadCount * own
    let step = sourceStep(blocks.rows)
    let pieces = RowTiles(rows: blocks.rows, target: Self.tilesPerTask)
    parallelism.forEach(pieces.count, work: work) { piece, worker in
      let tiles = pieces[piece]
      locate(
        tiles, source, zeros, table: scratch + worker * own,
        into: parts + tiles.lowerBound * sourceRow, step)
    }
    parallelism.forEach(blocks.count * panels.count, work: work) { task, worker in
      let (block, panel) = task.quotientAndRemainder(dividingBy: panels.count)
      let tiles = blocks[block]
      finish(
        tiles, panel, parts + tiles.lowerBound * sourceRow, step, packed, into: y, epilogue,
        result: scratch + worker * own + tableCount)
    }
  }

  /// Makes the components of some tiles.
  private func locate(
    _ tiles: Range<Int>, _ source: UnsafePointer<Float>, _ zeros: UnsafePointer<Float>,
    table memory: UnsafeMutablePointer<Float>, into parts: UnsafeMutablePointer<Float>, _ step: Int
  ) {
    let table = UnsafeMutableRawPointer(memory).alignedUp(toMultipleOf: 64)
      .bindMemory(to: UnsafePointer<Float>?.self, capacity: components * tiles.count)
    withUnsafePointer(to: window.leaf) {
      loops.locate(
        table, tiles.count, source, zeros, $0, 0, components, tiles.lowerBound, tiles.count)
    }
    loops.winogradInput(size, parts, step, sourceRow, table, tiles.count, tiles.count, inputs)
  }

  /// Multiplies the components of some tiles with a panel of the weight's, and makes pixels of them.
  private func finish(
    _ tiles: Range<Int>, _ panel: Int, _ parts: UnsafePointer<Float>, _ step: Int,
    _ packed: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    _ epilogue: EpilogueOperands, result: UnsafeMutablePointer<Float>
  ) {
    let padded = panels[panel].count * loops.width
    loops.winogradProduct(
      result, resultStep, parts, step, sourceRow, tiles.count, inputs, packed + offset(panel),
      padded, components)
    let columns = columns(panel)
    let first = columns.lowerBound
    let residualStride = epilogue.residualStride ?? resultStride
    var leaf = KeelWinogradTiles(
      size: size, height: height, width: width, step: resultStep, row: padded, y: y + first,
      yRow: width * resultStride, yStep: resultStride, bias: epilogue.bias.map { $0 + first },
      residual: epilogue.residual.map { $0 + first }, residualRow: width * residualStride,
      residualStep: residualStride, cut: epilogue.cut)
    loops.winogradOutput(&leaf, result, tiles.lowerBound, tiles.count, columns.count)
    guard let activation = epilogue.lateActivation else { return }
    forEachLine(of: tiles) { pixel, count in
      for p in pixel..<pixel + count {
        let y = y + p * resultStride + first
        loops.activate(y, y, columns.count, activation.leaf)
      }
    }
  }

  /// Calls a closure with the first pixel, counted over the batch, and the length of every line of every tile.
  private func forEachLine(of tiles: Range<Int>, _ body: (_ pixel: Int, _ count: Int) -> Void) {
    let (down, across) = (window.leaf.gridHeight, window.leaf.gridWidth)
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
