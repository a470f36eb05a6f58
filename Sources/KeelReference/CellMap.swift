import KeelTensor

/// Which cell of a partition each row and each channel of x belongs to.
internal struct CellMap {
  /// The extents of the cells.
  let cells: Shape
  /// For each row, the index of its cell, without that of channels.
  let rows: [Int]
  /// For each channel, the index of its cell among those of its row.
  let channels: [Int]
  /// The weight of each row.
  let weights: [Double]

  /// - Throws: `KeelError` of kind `value` for a label that is none of the partition's, or a weight that
  ///   is negative or not a number.
  init(
    _ partition: Partition, of x: Shape, labels: IndexTensor?, weights: DoubleTensor? = nil,
    at place: String
  ) throws(KeelError) {
    let (rowCount, channelCount) = (x.rowCount, x.channelCount)
    cells = Shape(partition.cellExtents(of: x.extents, channels: channelCount) { $0 })
    let perCell = channelCount / partition.channelCells(of: channelCount)
    channels = (0..<channelCount).map { $0 / perCell }
    let positions = rowCount / max(x[0], 1)
    switch partition.rows {
    case .all: rows = Array(repeating: 0, count: rowCount)
    case .sample: rows = (0..<rowCount).map { $0 / positions }
    case .position: rows = Array(0..<rowCount)
    case .axes(let kept):
      let extents = Array(x.extents.dropLast())
      rows = (0..<rowCount).map { row in
        var (rest, index, stride) = (row, 0, 1)
        for axis in extents.indices.reversed() {
          if kept.contains(axis) {
            index += rest % extents[axis] * stride
            stride *= extents[axis]
          }
          rest /= extents[axis]
        }
        return index
      }
    case .shards(let count):
      rows = (0..<rowCount).map { row in
        (0..<count).last { $0 * x[0] / count <= row / positions }!
      }
    case .labels(let count):
      let labels = labels!.elements.map { Int($0) }
      for label in labels where !(0..<count).contains(label) {
        throw KeelError(
          .value, at: place, expected: "labels from 0 to \(count - 1)", found: "\(label)")
      }
      rows = (0..<rowCount).map { labels[labels.count == rowCount ? $0 : $0 / positions] }
    }
    if let weights {
      for weight in weights.elements where !(weight >= 0 && weight.isFinite) {
        throw KeelError(
          .value, at: place, expected: "finite weights of at least 0", found: "\(weight)")
      }
      let values = weights.elements
      self.weights = (0..<rowCount).map {
        values[values.count == rowCount ? $0 : $0 / positions]
      }
    } else {
      self.weights = Array(repeating: 1, count: rowCount)
    }
  }

  /// The cell of an element.
  func cell(_ row: Int, _ channel: Int) -> Int {
    rows[row] * cells.channelCount + channels[channel]
  }

  /// The moments of each cell, in two passes.
  func moments(of x: DoubleTensor) -> [Moments] {
    var result = [Moments](repeating: Moments(), count: cells.elementCount)
    x.withPointer { x in
      forEach { i, row, cell in
        result[cell].count += weights[row]
        result[cell].mean += weights[row] * x[i]
      }
      for cell in result.indices where result[cell].count > 0 {
        result[cell].mean /= result[cell].count
      }
      forEach { i, row, cell in
        let deviation = x[i] - result[cell].mean
        result[cell].squaredDeviations += weights[row] * deviation * deviation
      }
    }
    return result
  }

  /// Calls a closure with the position of each element, its row and its cell.
  func forEach(_ body: (_ i: Int, _ row: Int, _ cell: Int) -> Void) {
    for row in rows.indices {
      for channel in channels.indices {
        body(row * channels.count + channel, row, cell(row, channel))
      }
    }
  }
}

extension DoubleTensor {
  /// Moments in the layout of graphs, `MomentsLayout`; the mean is not split, its residual is 0.
  internal init(_ moments: [Moments], cells: Shape) {
    self.init(summing: Shape([MomentsLayout.rows] + cells.extents)) { out in
      for (cell, m) in moments.enumerated() {
        out[MomentsLayout.count * moments.count + cell] = m.count
        out[MomentsLayout.mean * moments.count + cell] = m.mean
        out[MomentsLayout.squaredDeviations * moments.count + cell] = m.squaredDeviations
      }
    }
  }

  /// The cells of a table in that layout, the two parts of the mean added.
  internal var moments: [Moments] {
    let cells = count / MomentsLayout.rows
    return (0..<cells).map { cell in
      Moments(
        count: self[flat: MomentsLayout.count * cells + cell],
        mean: self[flat: MomentsLayout.mean * cells + cell]
          + self[flat: MomentsLayout.meanResidual * cells + cell],
        squaredDeviations: self[flat: MomentsLayout.squaredDeviations * cells + cell])
    }
  }
}
