internal import CKeelLoops
internal import KeelTensor

/// Depthwise convolutions and transposed ones: y[p, c] = Σ_t weight[t, c]·x[window t of p, c].
internal struct DepthwiseProduct: Sendable {
  let channels: Int
  let taps: Int
  let phases: [WindowPhase]
  let tiles: [RowTiles]
  /// The floats of scratch memory for one worker.
  let scratchPerWorker: Int

  /// Positions of a task: their rows of a 64-channel map take 64 kB.
  private static let positionsPerTask = 256

  init(batch: Int, channels: Int, taps: Int, phases: [WindowPhase]) {
    self.channels = channels
    self.taps = taps
    self.phases = phases
    let tiles = phases.map {
      RowTiles(rows: batch * $0.window.positionsPerImage, target: Self.positionsPerTask)
    }
    self.tiles = tiles
    scratchPerWorker =
      zip(phases, tiles).map { $0.isWhole ? 0 : $1.largest * channels }.max() ?? 0
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
    epilogue: EpilogueOperands, scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    var weight = packed
    for (phase, tiles) in zip(phases, tiles) {
      let phaseWeight = weight
      weight += phase.window.taps.count * channels
      let work = tiles.rows * channels * phase.window.taps.count
      parallelism.forEach(tiles.count, work: work) { task, worker in
        let rows = tiles[task]
        let isWhole = phase.isWhole
        let result =
          isWhole ? y + rows.lowerBound * channels : scratch + worker * scratchPerWorker
        withUnsafePointer(to: phase.window.leaf) {
          loops.depthwise(result, source, phaseWeight, $0, rows.lowerBound, rows.count)
        }
        if !isWhole {
          phase.scatter(result, rows: rows, columns: 0..<channels, stride: channels, to: y)
        }
        epilogue.apply(to: y, of: phase, rows: rows, columns: 0..<channels, stride: channels)
      }
    }
  }
}
