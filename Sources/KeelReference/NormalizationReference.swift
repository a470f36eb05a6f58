import KeelGraph
import KeelTensor

/// A normalization and its gradients straight from their definitions, for any partition and operation.
///
/// z = (x − c)/s, with c the mean m of the element's cell or 0, and s by the operation from m, Σ(x − m)² and n;
/// v = γ·z + β; y = f(v + residual). With g = dy where f is active, g′ = γ·g, and sums over a cell:
///
/// - dγ = Σ g·z, dβ = Σ g over the elements that share them, dResidual = g,
/// - ds = −Σ g′·z/s; dm = −Σ g′/s where the mean is subtracted; both reach m and Σ(x − m)² through s,
/// - dx = g′/s, and for statistics of this batch + dm/n + 2·d(Σ(x − m)²)·(x − m).
///
/// For batch norm these are the formulas of Ioffe and Szegedy 2015, arXiv 1502.03167.
internal struct NormalizationReference {
  let normalization: Normalization
  let map: CellMap
  /// The statistics of each cell; those of given mean and variance have count 1.
  let moments: [Moments]
  let scale: DoubleTensor?
  let shift: DoubleTensor?
  private let x: DoubleTensor

  init(
    _ normalization: Normalization, _ x: DoubleTensor, _ map: CellMap, _ moments: [Moments],
    scale: DoubleTensor?, shift: DoubleTensor?
  ) {
    self.normalization = normalization
    self.x = x
    self.map = map
    self.moments = moments
    self.scale = scale
    self.shift = shift
  }

  /// r² of the operation for a cell.
  private func square(_ m: Moments) -> Double {
    switch normalization.operation.divisor {
    case .none: 1
    case .deviation(unbiased: false): m.variance
    case .deviation(unbiased: true): m.unbiasedVariance
    case .rootMeanSquare: m.meanSquare
    case .norm: m.meanSquare * m.count
    }
  }

  /// s of a cell.
  private func divisor(_ m: Moments) -> Double {
    if normalization.operation.divisor == .none { return 1 }
    let epsilon = Double(normalization.epsilon)
    switch normalization.operation.placement {
    case .insideRoot: return (square(m) + epsilon).squareRoot()
    case .besideRoot: return square(m).squareRoot() + epsilon
    case .floor: return max(square(m).squareRoot(), epsilon)
    }
  }

  /// 1/s of a cell; 0 without elements.
  private func inverse(_ m: Moments) -> Double { m.count > 0 ? 1 / divisor(m) : 0 }

  /// ds/d(r²) of a cell: 0 where s does not depend on r, and where r is 0.
  private func slope(_ m: Moments) -> Double {
    if normalization.operation.divisor == .none { return 0 }
    let root = square(m).squareRoot()
    switch normalization.operation.placement {
    case .insideRoot: return 0.5 / divisor(m)
    case .besideRoot: return root > 0 ? 0.5 / root : 0
    case .floor: return root > Double(normalization.epsilon) ? 0.5 / root : 0
    }
  }

  /// z.
  func normalized() -> DoubleTensor {
    let centers = normalization.operation.centers
    let (c, inverse) = (moments.map { centers ? $0.mean : 0 }, moments.map(inverse))
    return DoubleTensor(summing: x.shape) { z in
      x.withPointer { x in map.forEach { i, _, cell in z[i] = (x[i] - c[cell]) * inverse[cell] } }
    }
  }

  /// The position of an element's scale and shift.
  private func affinePositions() -> [Int] {
    let extents = x.shape.extents
    let shared: [Int] =
      switch normalization.recovery.extent {
      case .channels: extents.dropLast().map { _ in 1 } + [extents.last!]
      case .samples: [extents[0]] + extents.dropFirst().dropLast().map { _ in 1 } + [extents.last!]
      case .elements: [1] + extents.dropFirst()
      case .positions: extents
      }
    return BroadcastReference.positions(of: x.shape, in: shared)
  }

  /// v = γ·z + β.
  func forward() -> DoubleTensor {
    let (z, at) = (normalized(), affinePositions())
    return DoubleTensor(uninitialized: x.shape) { v in
      for i in v.indices {
        v[i] = (scale?[flat: at[i]] ?? 1) * z[flat: i] + (shift?[flat: at[i]] ?? 0)
      }
    }
  }

  /// dγ and dβ for g behind the activation.
  func affineGradients(_ g: DoubleTensor) -> (dScale: DoubleTensor?, dShift: DoubleTensor?) {
    let (z, at) = (normalized(), affinePositions())
    let dScale = scale.map {
      DoubleTensor(summing: $0.shape) { sum in
        for i in at.indices { sum[at[i]] += g[flat: i] * z[flat: i] }
      }
    }
    let dShift = shift.map {
      DoubleTensor(summing: $0.shape) { sum in
        for i in at.indices { sum[at[i]] += g[flat: i] }
      }
    }
    return (dScale, dShift)
  }

  /// dx through the elements themselves, and the gradients of each cell's mean and Σ(x − m)².
  private func direct(_ g: DoubleTensor) -> (dx: DoubleTensor, dMoments: [Moments]) {
    let (z, at) = (normalized(), affinePositions())
    let inverse = moments.map(inverse)
    var dMean = [Double](repeating: 0, count: moments.count)
    var dDivisor = dMean
    let dx = DoubleTensor(summing: x.shape) { dx in
      map.forEach { i, _, cell in
        let g = g[flat: i] * (scale?[flat: at[i]] ?? 1)
        dx[i] = g * inverse[cell]
        dDivisor[cell] -= g * z[flat: i] * inverse[cell]
        if normalization.operation.centers { dMean[cell] -= g * inverse[cell] }
      }
    }
    let gradients = moments.indices.map { cell in
      let m = moments[cell]
      guard m.count > 0 else { return Moments() }
      let dSquare = dDivisor[cell] * slope(m)
      var gradient = Moments(mean: dMean[cell])
      switch normalization.operation.divisor {
      case .none: break
      case .deviation(unbiased: false): gradient.squaredDeviations = dSquare / m.count
      case .deviation(unbiased: true): gradient.squaredDeviations = dSquare / (m.count - 1)
      case .rootMeanSquare:
        gradient.squaredDeviations = dSquare / m.count
        gradient.mean += dSquare * 2 * m.mean
      case .norm:
        gradient.squaredDeviations = dSquare
        gradient.mean += dSquare * 2 * m.mean * m.count
      }
      return gradient
    }
    return (dx, gradients)
  }

  /// dx, and the gradient of the moments where they are an operand.
  func gradients(_ g: DoubleTensor) -> (dx: DoubleTensor, dMoments: DoubleTensor) {
    let (dx, dMoments) = direct(g)
    let table = Self.table(dMoments, cells: map.cells)
    guard normalization.statistics == .current else { return (dx, table) }
    let more = Self.inputGradient(of: dMoments, x, map, moments)
    return (ElementwiseReference.sum(dx, more), table)
  }

  /// w·(dm/n + 2·d(Σ(x − m)²)·(x − m)).
  static func inputGradient(
    of dMoments: [Moments], _ x: DoubleTensor, _ map: CellMap, _ moments: [Moments]
  ) -> DoubleTensor {
    DoubleTensor(summing: x.shape) { dx in
      x.withPointer { x in
        map.forEach { i, row, cell in
          let (d, m) = (dMoments[cell], moments[cell])
          guard m.count > 0 else { return }
          dx[i] =
            map.weights[row] * (d.mean / m.count + 2 * d.squaredDeviations * (x[i] - m.mean))
        }
      }
    }
  }

  /// Gradients of moments in the layout of graphs: both parts of a mean have its gradient.
  static func table(_ gradients: [Moments], cells: Shape) -> DoubleTensor {
    let count = gradients.count
    return DoubleTensor(summing: Shape([MomentsLayout.rows] + cells.extents)) { out in
      for (cell, gradient) in gradients.enumerated() {
        out[MomentsLayout.mean * count + cell] = gradient.mean
        out[MomentsLayout.meanResidual * count + cell] = gradient.mean
        out[MomentsLayout.squaredDeviations * count + cell] = gradient.squaredDeviations
      }
    }
  }

  /// The gradients in a table of that layout. The rounded mean and its residual are summed wherever they
  /// are used, so that the row of the rounded one holds the mean's gradient.
  static func gradients(in table: DoubleTensor) -> [Moments] {
    let count = table.count / MomentsLayout.rows
    return (0..<count).map { cell in
      Moments(
        mean: table[flat: MomentsLayout.mean * count + cell],
        squaredDeviations: table[flat: MomentsLayout.squaredDeviations * count + cell])
    }
  }
}
