/// A cut of rows into pieces that run side by side: each some neighbouring rows, or the same positions of
/// every sample.
internal struct RowPieces: Sendable {
  /// The rows of each piece, of the first sample where a piece takes rows of every sample.
  let ranges: [Range<Int>]
  /// How often, and at what distance, a piece's rows come again.
  let repetitions: Int, stride: Int

  /// Neighbouring rows.
  init(_ ranges: [Range<Int>]) {
    self.ranges = ranges
    (repetitions, stride) = (1, 0)
  }

  /// Neighbouring rows, about so many.
  init(rows: Int, target: Int) {
    let tiles = RowTiles(rows: rows, target: target)
    self.init((0..<tiles.count).map { tiles[$0] })
  }

  /// About so many positions of every sample.
  init(positions: Int, samples: Int, target: Int) {
    let tiles = RowTiles(rows: samples == 0 ? 0 : positions, target: target)
    ranges = (0..<tiles.count).map { tiles[$0] }
    (repetitions, stride) = (samples, positions)
  }

  var count: Int { ranges.count }

  /// Calls a closure with the ranges of neighbouring rows of a piece, in order or from the last on.
  func forEachRange(of piece: Int, fromEnd: Bool = false, _ body: (Range<Int>) -> Void) {
    let range = ranges[piece]
    for i in 0..<repetitions {
      let offset = (fromEnd ? repetitions - 1 - i : i) * stride
      body(range.lowerBound + offset..<range.upperBound + offset)
    }
  }
}
