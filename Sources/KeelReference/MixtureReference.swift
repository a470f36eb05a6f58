import KeelTensor

/// Mixtures of moments and their gradients, as `MomentsMixture` states them.
///
/// With dm and dv the gradients of the result's mean and of its Σ(x − m)²:
///
/// - merged: dmₖ = nₖ/n·dm + 2nₖ(mₖ − m)·dv, d(Σ(x − mₖ)²) = dv,
/// - averaged: dmₖ = ωₖ·dm, dvₖ = ω′ₖ·dv, dωₖ = Σ dm·mₖ, dω′ₖ = Σ dv·vₖ,
/// - pooled: with h = dm − 2·dv·Σⱼ ωⱼ(mⱼ − m), dmₖ = ωₖ·(h + 2·dv·(mₖ − m)), dvₖ = ωₖ·dv,
///   dωₖ = Σ h·mₖ + dv·(vₖ + (mₖ − m)²).
internal struct MixtureReference {
  let mixture: MomentsMixture
  /// The cells of the result.
  let cells: Shape
  private let tables: [[Moments]]
  /// For each table, the cell that each cell of the result takes.
  private let from: [[Int]]
  private let weights: [DoubleTensor]

  init(_ mixture: MomentsMixture, _ operands: [DoubleTensor]) {
    self.mixture = mixture
    let extents = operands.prefix(mixture.count).map { Array($0.shape.extents.dropFirst()) }
    let rank = extents.map(\.count).max()!
    let aligned = extents.map { Array(repeating: 1, count: rank - $0.count) + $0 }
    let cells = Shape((0..<rank).map { axis in aligned.map { $0[axis] }.first { $0 != 1 } ?? 1 })
    self.cells = cells
    tables = operands.prefix(mixture.count).map(\.moments)
    from = aligned.map { BroadcastReference.positions(of: cells, in: $0) }
    weights = Array(operands.dropFirst(mixture.count))
  }

  /// The position of a table's weight for a cell.
  private func position(_ k: Int, _ cell: Int, of weights: DoubleTensor) -> Int {
    weights.shape.rank == 1 ? k : k * cells.channelCount + cell % cells.channelCount
  }

  private func weight(_ k: Int, _ cell: Int, _ operand: Int = 0) -> Double {
    weights[operand][flat: position(k, cell, of: weights[operand])]
  }

  private func parts(_ cell: Int) -> [Moments] {
    zip(tables, from).map { $0[$1[cell]] }
  }

  /// The moments of each cell.
  func forward() -> [Moments] {
    (0..<cells.elementCount).map { cell in
      let parts = parts(cell)
      switch mixture.kind {
      case .merged: return Moments.merged(parts)
      case .averaged:
        return Moments(
          count: 1, mean: parts.indices.reduce(0) { $0 + weight($1, cell) * parts[$1].mean },
          squaredDeviations: parts.indices.reduce(0) {
            $0 + weight($1, cell, 1) * parts[$1].variance
          })
      case .pooled:
        let mean = parts.indices.reduce(0) { $0 + weight($1, cell) * parts[$1].mean }
        let variance = parts.indices.reduce(0) { sum, k in
          let distance = parts[k].mean - mean
          return sum + weight(k, cell) * (parts[k].variance + distance * distance)
        }
        return Moments(count: 1, mean: mean, squaredDeviations: variance)
      }
    }
  }

  /// The gradient of each operand.
  func gradients(_ dMoments: [Moments], operands: [DoubleTensor]) -> [DoubleTensor] {
    var dTables = tables.map { [Moments](repeating: Moments(), count: $0.count) }
    var dWeights = weights.map { [Double](repeating: 0, count: $0.count) }
    for (cell, whole) in forward().enumerated() {
      let parts = parts(cell)
      let (dm, dv) = (dMoments[cell].mean, dMoments[cell].squaredDeviations)
      let offset =
        mixture.kind == .pooled
        ? parts.indices.reduce(0) { $0 + weight($1, cell) * (parts[$1].mean - whole.mean) } : 0
      let h = dm - 2 * dv * offset
      for (k, part) in parts.enumerated() {
        let distance = part.mean - whole.mean
        let to = from[k][cell]
        switch mixture.kind {
        case .merged:
          guard part.count > 0 else { continue }
          dTables[k][to].mean += part.count * (dm / whole.count + 2 * distance * dv)
          dTables[k][to].squaredDeviations += dv
        case .averaged:
          dTables[k][to].mean += weight(k, cell) * dm
          dTables[k][to].squaredDeviations += weight(k, cell, 1) * dv / part.count
          dWeights[0][position(k, cell, of: weights[0])] += dm * part.mean
          dWeights[1][position(k, cell, of: weights[1])] += dv * part.variance
        case .pooled:
          dTables[k][to].mean += weight(k, cell) * (h + 2 * dv * distance)
          dTables[k][to].squaredDeviations += weight(k, cell) * dv / part.count
          dWeights[0][position(k, cell, of: weights[0])] +=
            h * part.mean + dv * (part.variance + distance * distance)
        }
      }
    }
    let tableGradients = zip(dTables, operands).map { gradient, operand in
      NormalizationReference.table(gradient, cells: Shape(Array(operand.shape.extents.dropFirst())))
    }
    let weightGradients = zip(dWeights, weights).map { gradient, operand in
      DoubleTensor(summing: operand.shape) { out in
        for i in gradient.indices { out[i] = gradient[i] }
      }
    }
    return tableGradients + weightGradients
  }
}
