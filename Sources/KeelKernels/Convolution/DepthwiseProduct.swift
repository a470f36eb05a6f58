internal import CKeelLoops
internal import KeelTensor

/// Depthwise convolutions and transposed ones: y[p, c] = Σ_t weight[t, c]·x[window t of p, c].
internal struct DepthwiseProduct: Sendable {
  let channels: Int
  let taps: Int
  let phases: [WindowPhase]
  /// Lines of the grid of all images, cut into pieces: phases share them, so that the pixels of a line of
  /// the result, which phases of an input gradient make in turn, are written while they are in the cache.
  private let lines: Window.Extents
  private let pieces: RowTiles
  private let tiles: RowTiles
  private let batch: Int

  /// Positions of a task: their rows of a 64-channel map take 64 kB.
  private static let positionsPerTask = 256
  /// The longest piece of a line, for sequences.
  private static let longestPiece = 1024

  init(batch: Int, channels: Int, taps: Int, phases: [WindowPhase]) {
    self.batch = batch
    self.channels = channels
    self.taps = taps
    self.phases = phases
    func largest(_ extent: (Window) -> Int) -> Int { phases.map { extent($0.window) }.max() ?? 0 }
    lines = Window.Extents(
      z: largest(\.leaf.gridDepth), y: largest(\.leaf.gridHeight), x: largest(\.leaf.gridWidth))
    pieces = RowTiles(rows: lines.x, target: Self.longestPiece)
    tiles = RowTiles(
      rows: batch * lines.z * lines.y * pieces.count,
      target: max(1, Self.positionsPerTask / max(1, pieces.largest * phases.count)))
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
        let (line, piece) = unit.quotientAndRemainder(dividingBy: pieces.count)
        var weight = packed
        for phase in phases {
          if let positions = phase.positions(line: line, of: lines, piece: pieces[piece]) {
            // Finished while it is in L1.
            withUnsafePointer(to: phase.window.leaf) {
              loops.depthwise(
                y + phase.outputPixel(positions.lowerBound) * channels, phase.pixelStep * channels,
                source, weight, $0, positions.lowerBound, positions.count)
            }
            epilogue.apply(
              to: y, of: phase, rows: positions, columns: 0..<channels, stride: channels)
          }
          weight += phase.window.taps.count * channels
        }
      }
    }
  }
}
