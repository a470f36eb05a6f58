internal import CKeelLoops
package import KeelTensor

/// The gradient of moments: dx = w·(dMean/n + 2·dDeviations·(x − mean)), for cells of any partition.
package struct MomentsGradientKernel: Sendable {
  private let moments: MomentsKernel
  private let pieces: RowTiles
  private let weightPeriod: Int?

  package init(
    _ partition: Partition, of shape: Shape, labelsPerPosition: Bool, weightsPerPosition: Bool?
  ) {
    moments = MomentsKernel(partition, of: shape, labelsPerPosition: labelsPerPosition)
    pieces = RowTiles(
      rows: shape.rowCount, target: max(1, 32_768 / max(shape.channelCount, 1)))
    weightPeriod = weightsPerPosition.map { $0 ? 1 : shape.rowCount / max(shape[0], 1) }
  }

  private var mapCount: Int { 3 * ChannelRows.padded(moments.channels) }

  /// The floats of scratch memory.
  package func scratchCount(_ parallelism: Parallelism) -> Int {
    (moments.tables.count + parallelism.threadCount) * mapCount
  }

  /// - Parameters:
  ///   - dMoments, table: 4 × cells.
  ///   - labels, weights: those of samples or positions.
  package func run(
    _ dMoments: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ table: UnsafePointer<Float>,
    labels: UnsafePointer<Int64>?, weights: UnsafePointer<Float>?,
    into dx: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>,
    parallelism: Parallelism
  ) {
    let (tables, channels) = (moments.tables, moments.channels)
    let workers = scratch + tables.count * mapCount
    parallelism.forEach(tables.count, work: tables.count * channels * 8) { index, _ in
      fill(
        scratch + index * mapCount, tables.cellRow(of: index, labels: labels), dMoments, table)
    }
    parallelism.forEach(pieces.count, work: pieces.rows * channels) { piece, worker in
      tables.forEachRun(in: pieces[piece], labels: labels, period: weightPeriod) { run, index in
        var map = scratch + index * mapCount
        if let weights {
          let weight = weights[run.lowerBound / weightPeriod!]
          let own = workers + worker * mapCount
          own.update(from: map, count: mapCount)
          let padded = ChannelRows.padded(channels)
          loops.scale(own + padded, own + padded, weight, 2 * padded)
          map = own
        }
        apply(map, run, x, dx)
      }
    }
  }

  private func apply(
    _ memory: UnsafeMutablePointer<Float>, _ run: Range<Int>, _ x: UnsafePointer<Float>,
    _ dx: UnsafeMutablePointer<Float>
  ) {
    let padded = ChannelRows.padded(moments.channels)
    let at = run.lowerBound * moments.channels
    let streams = LargeResult.streams(moments.tables.rows * moments.channels, dx, over: x)
    let map = KeelMap(
      pivot: memory, scale: memory + padded, shift: memory + 2 * padded, rowScale: nil,
      rowShift: nil, scaleStride: 0, shiftStride: 0)
    withUnsafePointer(to: map) { map in
      let channels = moments.channels
      loops.normalize(
        map, dx + at, channels, x + at, channels, run.count, channels, nil, 0, 0, streams)
    }
  }

  /// pivot, 2·dDeviations, and dMean/n less what the pivot's rounding leaves.
  private func fill(
    _ map: UnsafeMutablePointer<Float>, _ cellRow: Int, _ dMoments: UnsafePointer<Float>,
    _ table: UnsafePointer<Float>
  ) {
    let (channels, cells) = (moments.channels, moments.cellCount)
    let padded = ChannelRows.padded(channels)
    map.update(repeating: 0, count: 3 * padded)
    for c in 0..<channels {
      let cell = cellRow * moments.groups + c / moments.group
      let count = Double(table[MomentsLayout.count * cells + cell])
      guard count > 0 else { continue }
      let slope = 2 * Double(dMoments[MomentsLayout.squaredDeviations * cells + cell])
      let rest = Double(table[MomentsLayout.meanResidual * cells + cell])
      map[c] = table[MomentsLayout.mean * cells + cell]
      map[padded + c] = Float(slope)
      map[2 * padded + c] = Float(
        Double(dMoments[MomentsLayout.mean * cells + cell]) / count - slope * rest)
    }
  }
}
