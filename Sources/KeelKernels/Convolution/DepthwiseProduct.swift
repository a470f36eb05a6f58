internal import CKeelLoops
internal import KeelTensor

/// Depthwise convolutions and transposed ones: y[p, c] = Σ_t weight[t, c]·x[window t of p, c].
internal struct DepthwiseProduct: Sendable {
  let channels: Int
  let taps: Int
  let phases: [WindowPhase]
  /// The lines and pixels of the largest grid. Phases share its cuts, so that the pixels of a line of the
  /// result, which phases of an input gradient make in turn, are written while they are in the cache.
  private let lines: Window.Extents
  /// Cuts of a plane's lines, into pairs, and of a line.
  private let pairs: RowTiles
  private let pieces: RowTiles
  private let tiles: RowTiles
  private let batch: Int
  /// Floats from one pixel of the result to the next.
  private let resultStride: Int
  /// What the loops fetch ahead.
  private let fetch: Int32

  /// Lines that a call of the loops makes at once.
  private static let linesPerCall = 2
  /// Positions of a task, at least: their rows of a 64-channel map take 64 kB.
  private static let positionsPerTask = 256
  /// Tasks of large maps. Their first lines read again what the task before has read.
  private static let mostTasks = 64
  /// The longest piece of a line, for sequences.
  private static let longestPiece = 1024
  /// The bytes of a result from which on it is fetched ahead, being larger than a second level of caches, and
  /// those from which on the source is, too: the caches' own fetching does up to there.
  private static let largeBytes = (result: 2 << 20, both: 8 << 20)

  init(batch: Int, channels: Int, taps: Int, resultStride: Int, phases: [WindowPhase]) {
    self.batch = batch
    self.resultStride = resultStride
    self.channels = channels
    self.taps = taps
    self.phases = phases
    func largest(_ extent: (Window) -> Int) -> Int { phases.map { extent($0.window) }.max() ?? 0 }
    lines = Window.Extents(
      z: largest(\.leaf.gridDepth), y: largest(\.leaf.gridHeight), x: largest(\.leaf.gridWidth))
    pairs = RowTiles(rows: lines.y, target: Self.linesPerCall)
    pieces = RowTiles(rows: lines.x, target: Self.longestPiece)
    let units = batch * lines.z * pairs.count * pieces.count
    let positions = max(1, pieces.largest * pairs.largest * phases.count)
    tiles = RowTiles(
      rows: units, target: max(1, Self.positionsPerTask / positions, units / Self.mostTasks))
    let bytes = 4 * batch * channels * (phases.map { $0.window.positionsPerImage }.max() ?? 0)
    fetch =
      bytes >= Self.largeBytes.both
      ? Int32(KEEL_FETCH_BOTH)
      : bytes * phases.count >= Self.largeBytes.result
        ? Int32(KEEL_FETCH_RESULT) : Int32(KEEL_FETCH_NOTHING)
  }

  /// The floats of the packed weight: taps × channels for each phase.
  var packedCount: Int { phases.reduce(0) { $0 + $1.window.taps.count * channels } }

  /// Packs weight C×[kD×]kH×kW×1 as taps × channels, in the order of each phase's taps.
  func pack(_ weight: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>) {
    var row = packed
    for phase in phases {
      for tap in phase.window.taps {
        for channel in 0..<channels { row[channel] = weight[channel * taps + tap.number] }
        row += channels
      }
    }
  }

  func run(
    source: UnsafePointer<Float>, packed: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    epilogue: EpilogueOperands, parallelism: Parallelism
  ) {
    let work = phases.reduce(0) {
      $0 + batch * $1.window.positionsPerImage * channels * max(1, $1.window.taps.count)
    }
    parallelism.forEach(tiles.count, work: work) { task, _ in
      run(tiles[task], source: source, packed: packed, into: y, epilogue: epilogue)
    }
  }

  /// Makes the units of a task: pairs of lines, in pieces. Bias, ReLU and clip are applied to sums before they are
  /// stored, where no residual comes between them.
  private func run(
    _ units: Range<Int>, source: UnsafePointer<Float>, packed: UnsafePointer<Float>,
    into y: UnsafeMutablePointer<Float>, epilogue: EpilogueOperands
  ) {
    let (stored, rest) =
      epilogue.residual == nil
      ? (epilogue, epilogue.withoutLeaf) : (EpilogueOperands(), epilogue)
    for unit in units {
      let (pair, piece) = unit.quotientAndRemainder(dividingBy: pieces.count)
      let (plane, number) = pair.quotientAndRemainder(dividingBy: pairs.count)
      let (rows, columns) = (pairs[number], pieces[piece])
      var weight = packed
      for phase in phases {
        let first = plane * lines.y + rows.lowerBound
        let count = min(rows.upperBound, phase.window.leaf.gridHeight) - rows.lowerBound
        if count > 0, let positions = phase.positions(line: first, of: lines, piece: columns) {
          // Finished while it is in L1.
          withUnsafePointer(to: phase.window.leaf) {
            loops.depthwise(
              y + phase.outputPixel(positions.lowerBound) * resultStride,
              phase.pixelStep * resultStride, phase.step.y * phase.output.x * resultStride, source,
              weight, $0, positions.lowerBound, positions.count, count, fetch,
              stored.bias, stored.cut)
          }
          for line in first..<first + count where !rest.isEmpty {
            if let positions = phase.positions(line: line, of: lines, piece: columns) {
              rest.apply(
                to: y, of: phase, rows: positions, columns: 0..<channels, stride: resultStride)
            }
          }
        }
        weight += phase.window.taps.count * channels
      }
    }
  }
}
