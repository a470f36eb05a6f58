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
  /// Whether the loops fetch the source ahead.
  private let isLarge: Bool

  /// Lines that a call of the loops makes at once.
  private static let linesPerCall = 2
  /// Positions of a task, at least: their rows of a 64-channel map take 64 kB.
  private static let positionsPerTask = 256
  /// Tasks of large maps. Their first lines read again what the task before has read.
  private static let mostTasks = 64
  /// The longest piece of a line, for sequences.
  private static let longestPiece = 1024
  /// The bytes of a source from which on it is fetched ahead: past the second level of caches.
  static let largeBytes = 8 << 20

  init(batch: Int, channels: Int, taps: Int, phases: [WindowPhase]) {
    self.batch = batch
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
    let source = phases.first?.window.leaf
    isLarge =
      source.map {
        batch * $0.sourceDepth * $0.sourceHeight * $0.sourceWidth * $0.sourceStride * 4
          >= Self.largeBytes
      } ?? false
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
      for unit in tiles[task] {
        let (pair, piece) = unit.quotientAndRemainder(dividingBy: pieces.count)
        let (plane, number) = pair.quotientAndRemainder(dividingBy: pairs.count)
        var weight = packed
        for phase in phases {
          let leaf = phase.window.leaf
          let rows = pairs[number].clamped(to: 0..<leaf.gridHeight)
          let first = phase.positions(
            line: plane * lines.y + rows.lowerBound, of: lines, piece: pieces[piece])
          if let first, !rows.isEmpty {
            let rowStep = phase.step.y * phase.output.x
            // Finished while it is in L1.
            withUnsafePointer(to: leaf) {
              loops.depthwise(
                y + phase.outputPixel(first.lowerBound) * channels, phase.pixelStep * channels,
                rowStep * channels, source, weight, $0, first.lowerBound, first.count, rows.count,
                isLarge ? 1 : 0)
            }
            for row in 0..<rows.count {
              let start = first.lowerBound + row * leaf.gridWidth
              epilogue.apply(
                to: y, of: phase, rows: start..<start + first.count, columns: 0..<channels,
                stride: channels)
            }
          }
          weight += phase.window.taps.count * channels
        }
      }
    }
  }
}
