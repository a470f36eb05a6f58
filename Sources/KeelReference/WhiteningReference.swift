import Foundation
import KeelTensor

/// Co-moments, whitening and coloring matrices and block maps by their definitions.
internal struct WhiteningReference {
  let blocks: ChannelBlocks
  /// The number of cells, 1 or that of samples.
  let cells: Int
  let channels: Int
  let place: String

  var size: Int { blocks.size }

  init(_ blocks: ChannelBlocks, x: Shape, at place: String) {
    self.blocks = blocks
    cells = blocks.rows == .all ? 1 : x[0]
    channels = x.channelCount
    self.place = place
  }

  /// From a table whose first axis is its rows.
  init(_ blocks: ChannelBlocks, table: Shape, at place: String) {
    self.blocks = blocks
    cells = blocks.rows == .all ? 1 : table[1]
    channels = table.channelCount
    self.place = place
  }

  func shape(rows: Int) -> Shape {
    Shape([rows] + (blocks.rows == .all ? [channels] : [cells, channels]))
  }

  /// The place of a row's number in a table.
  func at(_ row: Int, _ cell: Int, _ channel: Int) -> Int {
    (row * cells + cell) * channels + channel
  }

  func forEachBlock(_ body: (_ cell: Int, _ channels: Range<Int>) throws(KeelError) -> Void)
    throws(KeelError)
  {
    for cell in 0..<cells {
      for block in 0..<blocks.count(of: channels) {
        try body(cell, blocks.channels(of: block, in: channels))
      }
    }
  }

  /// M[i, j] from rows `first` + j of channel i: how matrices are packed.
  func matrix(_ table: DoubleTensor, from first: Int, _ cell: Int, _ block: Range<Int>)
    -> SquareMatrix
  {
    SquareMatrix(block.count) { i, j in table[flat: at(first + j, cell, block.lowerBound + i)] }
  }

  func put(
    _ matrix: SquareMatrix, into table: inout DoubleTensor, from first: Int, _ cell: Int,
    _ block: Range<Int>
  ) {
    for i in 0..<block.count {
      for j in 0..<block.count {
        table[flat: at(first + j, cell, block.lowerBound + i)] = matrix[i, j]
      }
    }
  }

  func comoments(_ x: DoubleTensor) throws(KeelError) -> DoubleTensor {
    let rows = x.shape.rowCount / max(cells, 1)
    var table = DoubleTensor(zeros: shape(rows: ComomentsLayout.rows(of: size)))
    try forEachBlock { (cell, block) throws(KeelError) in
      func value(_ row: Int, _ c: Int) -> Double { x[flat: (cell * rows + row) * channels + c] }
      let means = block.map { c in (0..<rows).reduce(0) { $0 + value($1, c) } / Double(rows) }
      for (i, c) in block.enumerated() {
        table[flat: at(ComomentsLayout.count, cell, c)] = Double(rows)
        table[flat: at(ComomentsLayout.mean, cell, c)] = means[i]
      }
      let products = SquareMatrix(block.count) { i, j in
        (0..<rows).reduce(0) {
          $0 + (value($1, block.lowerBound + i) - means[i])
            * (value($1, block.lowerBound + j) - means[j])
        }
      }
      put(products, into: &table, from: ComomentsLayout.products, cell, block)
    }
    return table
  }

  /// dx = residual + dMean/n + Σ_j (dS_ij + dS_ji)·(x_j − mean_j).
  func comomentsGradient(
    _ gradient: DoubleTensor, _ x: DoubleTensor, _ table: DoubleTensor, residual: DoubleTensor?
  ) throws(KeelError) -> DoubleTensor {
    let rows = x.shape.rowCount / max(cells, 1)
    var dx = residual ?? DoubleTensor(zeros: x.shape)
    try forEachBlock { (cell, block) throws(KeelError) in
      let d = matrix(gradient, from: ComomentsLayout.products, cell, block)
      let both = d + d.transposed
      let means = block.map { mean(table, cell, $0) }
      for row in 0..<rows {
        let first = (cell * rows + row) * channels + block.lowerBound
        for i in 0..<block.count {
          var sum =
            gradient[flat: at(ComomentsLayout.mean, cell, block.lowerBound + i)] / Double(rows)
          for j in 0..<block.count { sum += both[i, j] * (x[flat: first + j] - means[j]) }
          dx[flat: first + i] += sum
        }
      }
    }
    return dx
  }

  private func mean(_ table: DoubleTensor, _ cell: Int, _ channel: Int) -> Double {
    table[flat: at(ComomentsLayout.mean, cell, channel)]
      + table[flat: at(ComomentsLayout.meanResidual, cell, channel)]
  }

  private func centre(_ table: DoubleTensor?, _ cell: Int, _ channel: Int) -> Double {
    table.map { $0[flat: at(0, cell, channel)] + $0[flat: at(1, cell, channel)] } ?? 0
  }

  /// y = M·(x − centre) + shift.
  func map(
    _ x: DoubleTensor, centre table: DoubleTensor?, _ matrices: DoubleTensor, shift: DoubleTensor?
  ) throws(KeelError) -> DoubleTensor {
    let rows = x.shape.rowCount / max(cells, 1)
    var y = DoubleTensor(zeros: x.shape)
    try forEachBlock { (cell, block) throws(KeelError) in
      let m = matrix(matrices, from: 0, cell, block)
      for row in 0..<rows {
        let first = (cell * rows + row) * channels + block.lowerBound
        for i in 0..<block.count {
          var sum = 0.0
          for j in 0..<block.count {
            sum += m[i, j] * (x[flat: first + j] - centre(table, cell, block.lowerBound + j))
          }
          if let shift {
            let own = shift.count == channels ? 0 : cell
            sum += shift[flat: own * channels + block.lowerBound + i]
          }
          y[flat: first + i] = sum
        }
      }
    }
    return y
  }

  /// (dx, dCentre?, dMatrix, dShift?).
  func mapGradients(
    _ dy: DoubleTensor, _ x: DoubleTensor, centre table: DoubleTensor?, _ matrices: DoubleTensor,
    _ shift: BlockMap.Shift
  ) throws(KeelError) -> [DoubleTensor] {
    let rows = x.shape.rowCount / max(cells, 1)
    var dx = DoubleTensor(zeros: x.shape)
    var dCentre = DoubleTensor(zeros: shape(rows: 2))
    var dMatrix = DoubleTensor(zeros: shape(rows: size))
    var dShift = DoubleTensor(
      zeros: shift == .channels || blocks.rows == .all ? [channels] : [cells, channels])
    try forEachBlock { (cell, block) throws(KeelError) in
      let m = matrix(matrices, from: 0, cell, block)
      let start = block.lowerBound
      for row in 0..<rows {
        let first = (cell * rows + row) * channels + start
        for i in 0..<block.count {
          let g = dy[flat: first + i]
          dShift[flat: (dShift.count == channels ? 0 : cell) * channels + start + i] += g
          for j in 0..<block.count {
            dx[flat: first + j] += m[i, j] * g
            dMatrix[flat: at(j, cell, start + i)] +=
              g * (x[flat: first + j] - centre(table, cell, start + j))
            for half in 0..<2 { dCentre[flat: at(half, cell, start + j)] -= m[i, j] * g }
          }
        }
      }
    }
    return [dx] + (table == nil ? [] : [dCentre]) + [dMatrix] + (shift == .none ? [] : [dShift])
  }
}
