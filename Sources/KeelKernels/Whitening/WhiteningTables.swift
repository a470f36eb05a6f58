internal import KeelTensor

/// Where the matrices of blocks stand in tables of d rows, and the covariance that they are made from.
internal struct WhiteningTables: Sendable {
  let rule: Whitening
  let blocks: ChannelBlocks
  let cells: Int
  let channels: Int
  let blockCount: Int
  let place: String

  /// The blocks of d channels, and the channels of a smaller one behind them.
  var wholeCount: Int { channels / blocks.size }
  var restSize: Int { channels % blocks.size }
  var step: Int { cells * channels }
  var taskCount: Int { cells * blockCount }

  /// - Parameter table: the shape of the co-moments.
  init(_ rule: Whitening, _ blocks: ChannelBlocks, table: Shape, place: String) {
    self.rule = rule
    self.blocks = blocks
    self.place = place
    cells = blocks.rows == .all ? 1 : table[1]
    channels = table.channelCount
    blockCount = blocks.count(of: channels)
  }

  /// The cell and the channels of a task.
  func block(_ task: Int) -> (cell: Int, channels: Range<Int>) {
    (task / blockCount, blocks.channels(of: task % blockCount, in: channels))
  }

  /// The offset of a task's first channel in a row of a table.
  func offset(_ task: Int) -> Int {
    let (cell, range) = block(task)
    return cell * channels + range.lowerBound
  }

  /// M[i, j] from row j of channel i.
  func read(_ table: UnsafePointer<Float>, _ task: Int, into m: UnsafeMutablePointer<Double>) {
    let d = block(task).channels.count
    let own = table + offset(task)
    for i in 0..<d { for j in 0..<d { m[i * d + j] = Double(own[j * step + i]) } }
  }

  /// Row j of channel i from M[i, j]; rows past a smaller block are 0.
  func write(
    _ m: UnsafePointer<Double>, _ task: Int, into table: UnsafeMutablePointer<Float>,
    _ exact: UnsafeMutablePointer<Double>? = nil
  ) {
    let d = block(task).channels.count
    let start = offset(task)
    for j in 0..<blocks.size {
      for i in 0..<d {
        let value = j < d ? m[i * d + j] : 0
        table[j * step + start + i] = Float(value)
        if let exact { exact[j * step + start + i] = value }
      }
    }
  }

  /// Rows of the channels of a block, one value in each.
  func writeRow(
    _ row: Int, _ task: Int, into table: UnsafeMutablePointer<Float>, _ value: (Int) -> Double
  ) {
    let own = table + row * step + offset(task)
    for i in 0..<block(task).channels.count { own[i] = Float(value(i)) }
  }

  /// Σ = (1 − α)·S/n + α·I + ε′·I.
  /// - Returns: n.
  func covariance(
    _ table: UnsafePointer<Float>, _ task: Int, shrinkage: Double,
    into sigma: UnsafeMutablePointer<Double>
  ) -> Double {
    let d = block(task).channels.count
    let own = table + offset(task)
    let n = Double(own[ComomentsLayout.count * step])
    let rest = ComomentsLayout.productResiduals(of: blocks.size)
    var trace = 0.0
    for i in 0..<d {
      for j in 0..<d {
        let high = own[(ComomentsLayout.products + j) * step + i]
        sigma[i * d + j] = (Double(high) + Double(own[(rest + j) * step + i])) / n
      }
      trace += sigma[i * d + i]
    }
    let products = SquareProducts(order: d)
    products.makeSymmetric(sigma)
    for i in 0..<d * d { sigma[i] *= 1 - shrinkage }
    let scale = rule.epsilonIsRelative ? trace / Double(d) : 1
    products.addIdentity(sigma, factor: shrinkage + Double(rule.epsilon) * scale)
    return n
  }

  func failure(_ task: Int, _ expected: String, _ found: String) -> KeelError {
    let (cell, range) = block(task)
    let sample = blocks.rows == .sample ? " of sample \(cell)" : ""
    return KeelError(
      .numerical, at: place, expected: expected,
      found: "\(found) in channels \(range.lowerBound)..<\(range.upperBound)\(sample)")
  }
}
