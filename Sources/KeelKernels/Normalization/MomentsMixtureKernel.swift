package import KeelTensor

/// Mixtures of moments and their gradients, as `MomentsMixture` states them: small tables, in Double, by the
/// calling thread.
package struct MomentsMixtureKernel: Sendable {
  /// Where the tables, or the weights, are, by number.
  package typealias Tables = (Int) -> UnsafePointer<Float>

  private let mixture: MomentsMixture
  /// The cells of each table, and for each the cell that each cell of the result takes.
  private let counts: [Int]
  private let from: [[Int32]]
  private let cells: Int
  private let channels: Int
  /// Whether weights differ by the last axis of the cells.
  private let perChannel: [Bool]

  /// - Parameters:
  ///   - tables: the shapes of the tables.
  ///   - weights: those of the weights.
  package init(_ mixture: MomentsMixture, tables: [Shape], weights: [Shape]) {
    self.mixture = mixture
    let rank = tables.map(\.rank).max()! - 1
    let extents = tables.map { table in
      Array(repeating: 1, count: rank - (table.rank - 1)) + table.extents.dropFirst()
    }
    let result = (0..<rank).map { axis in extents.map { $0[axis] }.first { $0 != 1 } ?? 1 }
    counts = extents.map { $0.reduce(1, *) }
    cells = result.reduce(1, *)
    channels = result.last!
    from = extents.map { extents in
      var positions: [Int32] = [0]
      for (axis, extent) in extents.enumerated() {
        positions = positions.flatMap { position in
          (0..<result[axis]).map {
            extent == 1 ? position : position * Int32(extent) + Int32($0)
          }
        }
      }
      return positions
    }
    perChannel = weights.map { $0.rank == 2 }
  }

  private func moments(_ k: Int, _ cell: Int, _ tables: Tables) -> Moments {
    let (table, count, at) = (tables(k), counts[k], Int(from[k][cell]))
    return Moments(
      count: Double(table[MomentsLayout.count * count + at]),
      mean: Double(table[MomentsLayout.mean * count + at])
        + Double(table[MomentsLayout.meanResidual * count + at]),
      squaredDeviations: Double(table[MomentsLayout.squaredDeviations * count + at]))
  }

  private func position(_ k: Int, _ cell: Int, of operand: Int) -> Int {
    perChannel[operand] ? k * channels + cell % channels : k
  }

  /// The moments of a cell of the result.
  private func mixed(
    _ cell: Int, _ tables: Tables, _ weights: Tables
  ) -> Moments {
    var result = Moments()
    func weight(_ k: Int, _ operand: Int) -> Double {
      Double(weights(operand)[position(k, cell, of: operand)])
    }
    guard mixture.kind != .merged else {
      for k in counts.indices { result.merge(moments(k, cell, tables)) }
      return result
    }
    result.count = 1
    for k in counts.indices { result.mean += weight(k, 0) * moments(k, cell, tables).mean }
    for k in counts.indices {
      let part = moments(k, cell, tables)
      let distance = part.mean - result.mean
      result.squaredDeviations +=
        mixture.kind == .averaged
        ? weight(k, 1) * part.variance : weight(k, 0) * (part.variance + distance * distance)
    }
    return result
  }

  /// Computes the moments of the mixture: 4 × cells.
  package func run(
    _ tables: Tables, _ weights: Tables,
    into result: UnsafeMutablePointer<Float>
  ) {
    for cell in 0..<cells {
      let mixed = mixed(cell, tables, weights)
      result[MomentsLayout.count * cells + cell] = Float(mixed.count)
      result[MomentsLayout.mean * cells + cell] = Float(mixed.mean)
      result[MomentsLayout.meanResidual * cells + cell] = Float(
        mixed.mean - Double(Float(mixed.mean)))
      result[MomentsLayout.squaredDeviations * cells + cell] = Float(mixed.squaredDeviations)
    }
  }

  /// Doubles of memory for the sums of the gradients.
  private var sumCount: Int {
    2 * counts.reduce(0, +) + perChannel.reduce(0) { $0 + weightCount($1) }
  }
  private func weightCount(_ perChannel: Bool) -> Int {
    perChannel ? counts.count * channels : counts.count
  }

  /// The floats of scratch memory for `gradient`.
  package var gradientScratchCount: Int { 2 * sumCount }

  /// Computes the gradient of each table and each weight.
  package func gradient(
    _ dMoments: UnsafePointer<Float>, _ tables: Tables,
    _ weights: Tables, into results: (Int) -> UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>
  ) {
    let sums = UnsafeMutableRawPointer(scratch).assumingMemoryBound(to: Double.self)
    sums.update(repeating: 0, count: sumCount)
    for cell in 0..<cells {
      addGradients(cell, dMoments, tables, weights, to: sums)
    }
    var next = sums
    for (k, count) in counts.enumerated() {
      let result = results(k)
      for cell in 0..<count {
        result[MomentsLayout.count * count + cell] = 0
        result[MomentsLayout.mean * count + cell] = Float(next[cell])
        result[MomentsLayout.meanResidual * count + cell] = Float(next[cell])
        result[MomentsLayout.squaredDeviations * count + cell] = Float(next[count + cell])
      }
      next += 2 * count
    }
    for (operand, isPerChannel) in perChannel.enumerated() {
      let result = results(counts.count + operand)
      for i in 0..<weightCount(isPerChannel) {
        result[i] = Float(next[i])
      }
      next += weightCount(isPerChannel)
    }
  }

  private func addGradients(
    _ cell: Int, _ dMoments: UnsafePointer<Float>, _ tables: Tables,
    _ weights: Tables, to sums: UnsafeMutablePointer<Double>
  ) {
    let whole = mixed(cell, tables, weights)
    let dm = Double(dMoments[MomentsLayout.mean * cells + cell])
    let dv = Double(dMoments[MomentsLayout.squaredDeviations * cells + cell])
    func weight(_ k: Int, _ operand: Int) -> Double {
      Double(weights(operand)[position(k, cell, of: operand)])
    }
    var h = dm
    if mixture.kind == .pooled {
      for k in counts.indices {
        h -= 2 * dv * weight(k, 0) * (moments(k, cell, tables).mean - whole.mean)
      }
    }
    let first = sums + 2 * counts.reduce(0, +)
    let second = first + (perChannel.first.map(weightCount) ?? 0)
    var table = sums
    for (k, count) in counts.enumerated() {
      let part = moments(k, cell, tables)
      let at = Int(from[k][cell])
      let distance = part.mean - whole.mean
      switch mixture.kind {
      case .merged where part.count > 0:
        table[at] += part.count * (dm / whole.count + 2 * distance * dv)
        table[count + at] += dv
      case .merged: break
      case .averaged:
        table[at] += weight(k, 0) * dm
        table[count + at] += weight(k, 1) * dv / part.count
        first[position(k, cell, of: 0)] += dm * part.mean
        second[position(k, cell, of: 1)] += dv * part.variance
      case .pooled:
        table[at] += weight(k, 0) * (h + 2 * dv * distance)
        table[count + at] += weight(k, 0) * dv / part.count
        first[position(k, cell, of: 0)] +=
          h * part.mean + dv * (part.variance + distance * distance)
      }
      table += 2 * count
    }
  }
}
